//! What is kept, and where: what every store promises, kept by ours.

mod conformance;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;
