//! What is kept, and where: what every store promises, kept by ours.

mod broken;
mod conformance;
#[cfg(all(feature = "file", unix))]
mod file;
mod mutant;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;
