//! Reading and writing the members of a trigger's JSON form. Each error names its member.

use std::time::Duration;

use chrono::NaiveDate;
use serde_json::{Number, Value};

use super::invalid;
use super::limits::Limits;
use super::moment::Moment;
use crate::Error;
use crate::zone::Zone;

/// A member of a JSON form: absent, or anything, to be judged by one of the functions below.
pub(super) type Member = Option<Value>;

pub(super) fn text(name: &str, member: &Member) -> Result<Option<String>, Error> {
    match member {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(invalid(format!("{name} `{other}`: write a text in quotes"))),
    }
}

pub(super) fn time(name: &str, member: &Member) -> Result<Option<Moment>, Error> {
    let text = text(name, member)?;
    text.map(|text| Moment::parse(&text).map_err(|error| invalid(format!("{name}: {error}")))).transpose()
}

pub(super) fn date(name: &str, member: &Member) -> Result<Option<NaiveDate>, Error> {
    let Some(text) = text(name, member)? else {
        return Ok(None);
    };
    let day = asyncz_grammar::date::parse_day(&text).map_err(|error| invalid(format!("{name}: {error}")))?;
    Ok(NaiveDate::from_ymd_opt(day.year.into(), day.month.into(), day.day.into()))
}

pub(super) fn zone(member: &Member) -> Result<Option<Zone>, Error> {
    let Some(name) = text("timezone", member)? else {
        return Ok(None);
    };
    name.parse().map(Some).map_err(|error| invalid(format!("timezone: {error}")))
}

/// A whole number from 0 to `max`; 0 when absent.
pub(super) fn whole(name: &str, member: &Member, max: u64) -> Result<u64, Error> {
    match member {
        None => Ok(0),
        Some(Value::Number(number)) if number.as_u64().is_some_and(|n| n <= max) => {
            Ok(number.as_u64().unwrap_or_default())
        }
        Some(other) => Err(invalid(format!("{name} `{other}`: write a whole number from 0 to {max}"))),
    }
}

/// Jitter: a number of seconds, kept in milliseconds.
pub(super) fn jitter(member: &Member) -> Result<Duration, Error> {
    let Some(value) = member else {
        return Ok(Duration::ZERO);
    };
    let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // Microseconds first: 0.57 s is a little less in binary, but must not become 569 ms.
    let micros = seconds.and_then(|seconds| u64::try_from((seconds.as_nanos() + 500) / 1000).ok());
    micros
        .map(|micros| Duration::from_millis(micros / 1000))
        .ok_or_else(|| invalid(format!("jitter `{value}`: write a number of seconds from 0 up")))
}

pub(super) fn limits(start: &Member, end: &Member, jitter_member: &Member) -> Result<Limits, Error> {
    Ok(Limits { start: time("start_at", start)?, end: time("end_at", end)?, jitter: jitter(jitter_member)? })
}

pub(super) fn write_time(moment: Option<Moment>) -> Member {
    moment.map(|moment| moment.write().into())
}

pub(super) fn write_zone(zone: Option<Zone>) -> Member {
    zone.map(|zone| zone.name().into())
}

pub(super) fn write_whole(number: u64) -> Member {
    (number > 0).then(|| number.into())
}

pub(super) fn write_jitter(jitter: Duration) -> Member {
    let seconds = if jitter.subsec_millis() == 0 {
        Number::from(jitter.as_secs())
    } else {
        Number::from_f64(jitter.as_secs_f64())?
    };
    (!jitter.is_zero()).then_some(Value::Number(seconds))
}
