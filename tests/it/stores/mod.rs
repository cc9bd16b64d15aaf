//! What is kept, and where: what every store promises, kept by ours.

mod broken;
mod conformance;
#[cfg(all(feature = "file", unix))]
mod file;
mod mutant;
#[cfg(feature = "redis")]
mod redis;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;

#[cfg(feature = "redis")]
pub(crate) use redis::Place as RedisPlace;
