//! `RedisStore` out of a configuration.

use std::sync::Arc;

use super::kinds::Made;
use super::options::TypeOptions;
use crate::stores::{RedisStore, Store};

const SCHEMES: [&str; 9] = [
    "redis",
    "rediss",
    "redis+cluster",
    "rediss+cluster",
    "valkey",
    "valkeys",
    "valkey+cluster",
    "valkeys+cluster",
    "unix",
];

/// Where its url says, or at a host and a port; else where Redis is as a rule.
pub(super) fn redis(options: &mut TypeOptions) -> Made<dyn Store> {
    let url = options.secret("url");
    let (host, port) = (options.text("host"), port(options));
    if let Some(url) = &url {
        if !SCHEMES.contains(&url.split("://").next().unwrap_or_default()) {
            options.refuse(
                "url",
                "write an address that begins with `redis://`, `rediss://` or `redis+cluster://`",
            );
        }
        for option in ["host", "port"] {
            options.refuse(option, "leave it out: `url` says where the server is");
        }
    }
    let mut store = match url {
        Some(url) => RedisStore::new(url),
        None => RedisStore::at(host.as_deref().unwrap_or("localhost"), port.unwrap_or(PORT)),
    };
    for option in ["database", "db"] {
        if let Some(database) = options.whole_number(option) {
            store = store.database(u32::try_from(database).unwrap_or(u32::MAX));
        }
    }
    if let Some(username) = options.text("username") {
        store = store.username(username);
    }
    if let Some(password) = options.secret("password") {
        store = store.password(password);
    }
    if let Some(prefix) = options.text("prefix") {
        store = store.prefix(prefix);
    }
    if let Some(key) = options.text("tasks_key") {
        store = store.tasks_key(key);
    }
    if let Some(key) = options.text("run_times_key") {
        store = store.run_times_key(key);
    }
    if let Some(lease) = options.time("lease") {
        store = store.lease(lease);
    }
    if let Some(server_clock) = options.flag("server_clock") {
        store = store.server_clock(server_clock);
    }
    Ok(Arc::new(store))
}

/// Redis's own port.
const PORT: u16 = 6379;

fn port(options: &mut TypeOptions) -> Option<u16> {
    let port = options.at_least_1("port")?;
    let port = u16::try_from(port).ok();
    if port.is_none() {
        options.refuse("port", "write a whole number from 1 to 65535");
    }
    port
}
