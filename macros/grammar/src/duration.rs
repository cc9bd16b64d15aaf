//! Durations: sums of whole numbers with a unit, such as `90s`, `1h30m` or `2d`.

use std::time::Duration;

use crate::SyntaxError;

/// Milliseconds in each unit that a duration may be written in.
const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Reads a duration: `<int><ms|s|m|h|d|w>`, one or several of them, added up.
///
/// A day has 24 hours, whatever a zone's law says. Zero (`0s`) is a duration; who needs more says so.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(asyncz_grammar::duration::parse("1h30m")?, Duration::from_secs(5400));
/// assert_eq!(asyncz_grammar::duration::parse("1s500ms")?, Duration::from_millis(1500));
/// # Ok::<(), asyncz_grammar::SyntaxError>(())
/// ```
///
/// # Errors
///
/// When the text is empty, a number has no unit or isn't whole, the unit is unknown, or the sum is above 2⁶⁴ ms.
pub fn parse(text: &str) -> Result<Duration, SyntaxError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong(text));
    }
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| !c.is_ascii_alphabetic());
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let (Some(factor), false) = (factor, number.is_empty()) else {
            return Err(wrong(text));
        };
        millis = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(factor))
            .and_then(|part| millis.checked_add(part))
            .ok_or_else(|| {
                SyntaxError::new(format!("duration `{text}` is too long: write less than 584 million years"))
            })?;
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

fn wrong(text: &str) -> SyntaxError {
    SyntaxError::new(format!(
        "duration `{text}`: write whole numbers with a unit (ms, s, m, h, d or w), such as `90s` or `1h30m`"
    ))
}
