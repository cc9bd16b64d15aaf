//! The text forms of asyncz, read alike at compile time (by `asyncz-macros`) and at run time (by `asyncz`), so that
//! the two can't disagree.
//!
//! | what | read by | gives |
//! |---|---|---|
//! | `0 9 * * mon-fri`, `@daily` | [`cron::parse_expression`] | a [`cron::Pattern`] |
//! | `day = "last fri"`, `hour = 9` | [`cron::parse_fields`] | a [`cron::Pattern`] |
//! | `1h30m` | [`duration::parse`] | a [`std::time::Duration`] |
//! | `2026-12-24T18:00:00+01:00`, `2026-12-24T18:00:00` | [`date::parse`] | a [`date::Time`] |
//! | `2026-12-24` | [`date::parse_day`] | a [`date::Day`] |
//! | `Europe/Berlin` | [`zone::check`] | nothing but the error, with "did you mean" |
//!
//! Every error is a [`SyntaxError`]: its text names the field, quotes the wrong item and says what to write instead.
//!
//! ```
//! let error = asyncz_grammar::cron::parse_expression("0 25 * * *").unwrap_err();
//! assert_eq!(error.to_string(), "hour `25`: write 0 to 23");
//! ```

pub mod cron;
pub mod date;
pub mod duration;
mod nearest;
pub mod zone;

use std::fmt;

pub use nearest::nearest;

/// Why a text can't be read: names the field, quotes the wrong item, says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    message: Box<str>,
}

impl SyntaxError {
    pub(crate) fn new(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SyntaxError {}
