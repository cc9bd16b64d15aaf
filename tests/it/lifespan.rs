//! A scheduler lives as long as its application, and every way out of it is orderly.

mod by_hand;
mod config;
mod fake;
mod settings;
