//! Time zones: names, rules, and the one place where local time becomes an instant.

/// A time zone by its IANA name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(chrono_tz::Tz);
