//! `MongoStore` keeps what every store promises.

use asyncz::testing::store_conformance;

use super::Place;

store_conformance!(mongodb, Place::new().store());
#[cfg(feature = "encryption")]
store_conformance!(mongodb_encrypted, Place::new().store().encryption_keys(["k".repeat(32)]));
