//! What is kept, and where: what every store promises, kept by ours.

mod broken;
mod conformance;
#[cfg(all(feature = "file", unix))]
mod file;
#[cfg(feature = "mongodb")]
pub(crate) mod mongo;
mod mutant;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;
