//! `SqlStore` out of a configuration.

use std::sync::Arc;

use super::kinds::Made;
use super::options::TypeOptions;
use crate::stores::{SqlStore, Store};

#[cfg(feature = "sqlite")]
pub(super) fn sqlite(options: &mut TypeOptions) -> Made<dyn Store> {
    store(options, &["sqlite"])
}

#[cfg(feature = "postgres")]
pub(super) fn postgres(options: &mut TypeOptions) -> Made<dyn Store> {
    store(options, &["postgres", "postgresql"])
}

#[cfg(feature = "mysql")]
pub(super) fn mysql(options: &mut TypeOptions) -> Made<dyn Store> {
    store(options, &["mysql", "mariadb"])
}

/// Whichever the url says.
pub(super) fn sql(options: &mut TypeOptions) -> Made<dyn Store> {
    store(options, &["sqlite", "postgres", "postgresql", "mysql", "mariadb"])
}

fn store(options: &mut TypeOptions, schemes: &[&str]) -> Made<dyn Store> {
    let begins = || schemes.iter().map(|scheme| format!("`{scheme}:`")).collect::<Vec<_>>().join(" or ");
    let url = options.secret("url");
    if let Some(url) = &url
        && !schemes.contains(&url.split(':').next().unwrap_or_default())
    {
        options.refuse("url", format!("write an address that begins with {}", begins()));
    }
    let mut store = SqlStore::new(url.clone().unwrap_or_default());
    if let Some(prefix) = options.text("table_prefix") {
        store = store.table_prefix(prefix);
    }
    if let Some(schema) = options.text("schema") {
        store = store.schema(schema);
    }
    if let Some(lease) = options.time("lease") {
        store = store.lease(lease);
    }
    if let Some(connections) = options.at_least_1("max_connections") {
        store = store.max_connections(u32::try_from(connections).unwrap_or(u32::MAX));
    }
    if let Some(server_clock) = options.flag("server_clock") {
        store = store.server_clock(server_clock);
    }
    match url {
        Some(_) => Ok(Arc::new(store)),
        None => Err(format!("its `url` is missing: write an address that begins with {}", begins()).into()),
    }
}
