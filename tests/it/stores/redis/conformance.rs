//! `RedisStore` keeps what every store promises, on a server and on a cluster.

use asyncz::testing::store_conformance;

use super::Place;

store_conformance!(server, Place::server().timed_store());
#[cfg(feature = "encryption")]
store_conformance!(server_encrypted, Place::server().timed_store().encryption_keys(["k".repeat(32)]));
store_conformance!(cluster, Place::cluster().timed_store());
