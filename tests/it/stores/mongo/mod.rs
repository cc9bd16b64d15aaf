//! `MongoStore` on a real server, which `tests/servers` starts.

mod conformance;
mod place;

pub(crate) use place::Place;
