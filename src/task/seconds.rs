//! Durations in JSON as people write them: numbers of seconds.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole seconds, as most are, stay whole.
    match duration.subsec_nanos() {
        0 => duration.as_secs().serialize(serializer),
        _ => duration.as_secs_f64().serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    if seconds >= u64::MAX as f64 {
        return Ok(Duration::MAX);
    }
    // To the millisecond, as everything that is said of time.
    let milliseconds = (seconds * 1_000.0).round();
    Duration::try_from_secs_f64(milliseconds / 1_000.0).map_err(|_| {
        serde::de::Error::custom(format!("{seconds} is no duration: a number of seconds from 0 up is"))
    })
}

/// The same where there may be none.
pub(super) mod optional {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Seconds(#[serde(with = "super")] Duration);
        Ok(Option::<Seconds>::deserialize(deserializer)?.map(|Seconds(duration)| duration))
    }
}
