//! `SqlStore` keeps what every store promises, on each database.

use asyncz::stores::SqlStore;
use asyncz::testing::store_conformance;

use super::Place;

/// A store that goes by its database's clock, where that has one.
fn store(place: Place) -> SqlStore {
    let store = SqlStore::new(&place.url).table_prefix(&place.prefix);
    // The store outlives this call, and so must its file.
    std::mem::forget(place);
    store
}

store_conformance!(sqlite, store(Place::sqlite()));
#[cfg(feature = "encryption")]
store_conformance!(sqlite_encrypted, store(Place::sqlite()).encryption_keys(["k".repeat(32)]));
store_conformance!(postgres, store(Place::postgres()));
store_conformance!(mysql, store(Place::mysql()));
