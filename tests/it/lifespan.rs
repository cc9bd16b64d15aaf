//! A scheduler lives as long as its application, and every way out of it is orderly.

mod by_hand;
mod config;
#[cfg(feature = "axum")]
mod drain;
#[cfg(feature = "axum")]
mod ending;
pub(crate) mod fake;
#[cfg(feature = "axum")]
pub(crate) mod http;
#[cfg(feature = "axum")]
mod ours;
#[cfg(feature = "axum")]
mod serve;
mod settings;
#[cfg(all(feature = "axum", unix))]
mod signals;
