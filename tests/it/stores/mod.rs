//! What is kept, and where.

#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;
