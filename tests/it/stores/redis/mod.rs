//! `RedisStore` on real servers, which `tests/servers` starts.

mod conformance;
mod place;

pub(crate) use place::Place;
