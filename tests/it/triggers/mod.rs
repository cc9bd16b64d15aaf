//! When.

mod vectors;

use asyncz::Trigger;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// An instant, from RFC 3339.
fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A trigger, from its JSON form.
fn read(json: Value) -> Result<Box<dyn Trigger>, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}
