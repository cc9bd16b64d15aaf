//! `FileStore` keeps what every store promises.

use asyncz::stores::FileStore;
use asyncz::testing::store_conformance;

use super::Directory;

fn store() -> FileStore {
    let directory = Directory::new();
    let store = directory.store();
    // The store outlives this call, and so must its directory.
    std::mem::forget(directory);
    store
}

store_conformance!(file, store());
#[cfg(feature = "encryption")]
store_conformance!(file_encrypted, store().encryption_keys(["k".repeat(32)]));
