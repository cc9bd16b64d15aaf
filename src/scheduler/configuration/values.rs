//! Values as they are written: each may be a text. An error says what is allowed.

use std::time::Duration;

use asyncz_grammar::duration;
use serde_json::Value;

use crate::Zone;
use crate::task::Recover;

type Read<T> = Result<T, String>;

pub(super) fn text(value: &Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        // A name of digits alone is a number to whoever reads the file.
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err("write a text".to_owned()),
    }
}

/// A text that is not empty.
pub(super) fn name(value: &Value) -> Read<String> {
    let text = text(value)?;
    if text.trim().is_empty() { Err("write a text that is not empty".to_owned()) } else { Ok(text) }
}

pub(super) fn flag(value: &Value) -> Read<bool> {
    let word = match value {
        Value::Bool(flag) => return Ok(*flag),
        Value::String(text) => text.trim().to_lowercase(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    };
    // Those of Asyncz.
    match &*word {
        "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// A whole number from `least` up to `most`.
pub(super) fn whole_number(value: &Value, least: u64, most: u64) -> Read<u64> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| match most {
        u64::MAX => format!("write a whole number from {least} up"),
        most => format!("write a whole number from {least} to {most}"),
    })
}

pub(super) fn time(value: &Value) -> Read<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.trim().parse() {
            Ok(seconds) => Some(seconds),
            Err(_) => return duration::parse(text).map_err(|_| NO_TIME.to_owned()),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    // To the millisecond, as everything that is said of time.
    let time =
        seconds.and_then(|seconds| Duration::try_from_secs_f64((seconds * 1_000.0).round() / 1_000.0).ok());
    time.ok_or_else(|| NO_TIME.to_owned())
}

const NO_TIME: &str = "write a number of seconds, or a time such as `30s` or `1h30m`";

/// A value, or none.
pub(super) fn optional<T>(value: &Value, read: impl FnOnce(&Value) -> Read<T>) -> Read<Option<T>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if matches!(&*text.trim().to_lowercase(), "none" | "null") => Ok(None),
        value => read(value).map(Some).map_err(|allowed| format!("{allowed}, or `none`")),
    }
}

/// A time above 0, or none.
pub(super) fn optional_time_above_0(value: &Value) -> Read<Option<Duration>> {
    match optional(value, time)? {
        Some(Duration::ZERO) => Err("write a time above 0, or `none`".to_owned()),
        time => Ok(time),
    }
}

pub(super) fn zone(value: &Value) -> Read<Zone> {
    const ALLOWED: &str = "write an IANA name such as `Europe/Berlin` or `UTC`";
    let name = text(value).map_err(|_| ALLOWED.to_owned())?;
    name.trim().parse().map_err(|error: crate::Error| {
        // The error's own words, but for the name: whoever tells of the value knows whether it may be shown.
        let error = error.to_string();
        error.split_once("`: ").map_or(error.clone(), |(_, advice)| advice.to_owned())
    })
}

pub(super) fn recover(value: &Value) -> Read<Recover> {
    match value.as_str().map(|word| word.trim().to_lowercase()).as_deref() {
        Some("rerun") => Ok(Recover::Rerun),
        Some("abandon") => Ok(Recover::Abandon),
        _ => Err("write `rerun` or `abandon`".to_owned()),
    }
}

/// Several texts: an array, or one text with commas.
pub(super) fn texts(value: &Value) -> Read<Vec<String>> {
    const ALLOWED: &str = "write an array of texts, or one text with commas";
    match value {
        Value::Array(items) => items.iter().map(name).collect::<Read<_>>().map_err(|_| ALLOWED.to_owned()),
        Value::String(text) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(ALLOWED.to_owned()),
    }
}
