//! What is kept, and where: what every store promises, kept by ours.

mod broken;
mod conformance;
#[cfg(all(feature = "file", unix))]
mod file;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod hearing;
#[cfg(feature = "mongodb")]
mod mongo;
mod mutant;
#[cfg(feature = "redis")]
mod redis;
#[cfg(all(feature = "file", unix, feature = "redis", feature = "mongodb", feature = "sqlite"))]
mod several;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;

#[cfg(feature = "mongodb")]
pub(crate) use mongo::Place as MongoPlace;
#[cfg(feature = "redis")]
pub(crate) use redis::Place as RedisPlace;
