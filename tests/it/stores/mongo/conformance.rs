//! `MongoStore` keeps what every store promises.

use asyncz::testing::store_conformance;

use super::Place;

store_conformance!(mongodb, Place::new().store());
