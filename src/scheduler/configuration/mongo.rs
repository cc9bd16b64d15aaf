//! `MongoStore` out of a configuration.

use std::sync::Arc;

use super::kinds::Made;
use super::options::TypeOptions;
use crate::stores::{MongoStore, Store};

/// Where it is unless said, as in Asyncz.
const HERE: &str = "mongodb://localhost:27017";

pub(super) fn store(options: &mut TypeOptions) -> Made<dyn Store> {
    let url = options.secret("url").unwrap_or_else(|| HERE.to_owned());
    if !["mongodb", "mongodb+srv"].contains(&url.split(':').next().unwrap_or_default()) {
        options.refuse("url", "write an address that begins with `mongodb:` or `mongodb+srv:`");
    }
    let mut store = MongoStore::new(url);
    if let Some(database) = options.text("database") {
        store = store.database(database);
    }
    if let Some(collection) = options.text("collection") {
        store = store.collection(collection);
    }
    if let Some(lease) = options.time("lease") {
        store = store.lease(lease);
    }
    if let Some(server_clock) = options.flag("server_clock") {
        store = store.server_clock(server_clock);
    }
    Ok(Arc::new(store))
}
