//! `RedisStore` keeps what every store promises, on a server and on a cluster.

use asyncz::testing::store_conformance;

use super::Place;

store_conformance!(server, Place::server().timed_store());
store_conformance!(cluster, Place::cluster().timed_store());
