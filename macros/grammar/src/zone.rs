//! Zone names, as the IANA database has them (those that chrono-tz 0.10 knows).

use crate::SyntaxError;
use crate::nearest::distance;

/// All names, one a line, in byte order.
const NAMES: &str = include_str!("zones.txt");

/// Says whether a zone name exists; the error offers the nearest one that does.
///
/// ```
/// use asyncz_grammar::zone;
/// assert!(zone::check("Europe/Berlin").is_ok());
/// let error = zone::check("europe/berlin").unwrap_err();
/// assert_eq!(error.to_string(), "there is no zone `europe/berlin`: did you mean `Europe/Berlin`?");
/// ```
///
/// # Errors
///
/// When no zone has exactly this name; upper and lower case count.
pub fn check(name: &str) -> Result<(), SyntaxError> {
    if names().any(|known| known == name) {
        return Ok(());
    }
    let advice = match nearest(name) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "write an IANA name such as `Europe/Berlin` or `UTC`".to_owned(),
    };
    Err(SyntaxError::new(format!("there is no zone `{name}`: {advice}")))
}

/// Every zone name, in byte order.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.lines()
}

/// The known name that somebody who wrote `name` most likely meant: the same letters, the city alone, or at most a
/// quarter of the letters wrong.
fn nearest(name: &str) -> Option<&'static str> {
    // Nobody mistypes a name of this length into a known one, and the distance is quadratic.
    if name.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace([' ', '-'], "_");
    let wanted = plain(name.trim());
    let by_city = || names().find(|known| known.rsplit('/').next().is_some_and(|city| plain(city) == wanted));
    let by_distance = || {
        let most = wanted.len() / 4;
        let near = names().filter(|known| known.len().abs_diff(wanted.len()) <= most);
        let ranked = near.map(|known| (distance(&wanted, &plain(known)), known));
        ranked.min_by_key(|(off, _)| *off).filter(|(off, _)| *off <= most).map(|(_, known)| known)
    };
    names().find(|known| plain(known) == wanted).or_else(by_city).or_else(by_distance)
}
