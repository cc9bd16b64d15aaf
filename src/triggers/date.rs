//! One instant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json::{self, Member};
use super::moment::Moment;
use super::{Digest, Trigger};
use crate::Error;
use crate::zone::Zone;

/// One instant; without one, the instant at which the task is added.
///
/// A date that is past when the task is added is still its [`first`](Trigger::first) instant: the task runs at once.
///
/// ```
/// use asyncz::{DateTrigger, Trigger};
/// let noon = "2026-12-24T12:00:00Z".parse()?;
/// let trigger = DateTrigger::at(noon);
/// assert_eq!(trigger.first("2027-01-01T00:00:00Z".parse()?), Some(noon));
/// assert_eq!(trigger.next_after(noon), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct DateTrigger {
    run_at: Option<Moment>,
    zone: Option<Zone>,
}

impl DateTrigger {
    /// This instant, cut to milliseconds. Those outside the years 0 to 9999 become the nearest inside.
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self { run_at: Some(Moment::new(instant)), zone: None }
    }

    /// The instant at which the task is added.
    pub fn now() -> Self {
        Self::default()
    }

    fn instant(&self) -> Option<DateTime<Utc>> {
        self.run_at.map(|run_at| run_at.instant(self.zone.unwrap_or_default()))
    }
}

#[typetag::serde(name = "date")]
impl Trigger for DateTrigger {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.instant().filter(|at| *at > after)
    }

    fn first(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.instant().unwrap_or(now))
    }

    fn anchored(&self, now: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger> {
        let zone = self.zone.unwrap_or(*zone);
        let run_at = self.run_at.map_or_else(|| Moment::new(now), |run_at| run_at.anchored(zone));
        Box::new(Self { run_at: Some(run_at), zone: self.zone })
    }

    fn describe(&self) -> String {
        let zone = self.zone.map(|zone| format!(", {zone}")).unwrap_or_default();
        match self.run_at {
            None => "once, as soon as it is added".to_owned(),
            Some(run_at @ Moment::Instant(_)) => format!("once, at {}", run_at.describe()),
            Some(run_at @ Moment::Naive(_)) => format!("once, at {}{zone}", run_at.describe()),
        }
    }

    fn end(&self) -> Option<DateTime<Utc>> {
        self.instant()
    }

    fn fingerprint(&self) -> Option<u64> {
        let mut digest = Digest::default();
        digest.add(b"date");
        digest.add_moment(self.run_at);
        digest.add_zone(self.zone);
        Some(digest.value())
    }
}

/// The JSON form.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Member,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Member,
}

impl TryFrom<Form> for DateTrigger {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self, Error> {
        Ok(Self { zone: json::zone(&form.timezone)?, run_at: json::time("run_at", &form.run_at)? })
    }
}

impl From<DateTrigger> for Form {
    fn from(trigger: DateTrigger) -> Self {
        Self { run_at: json::write_time(trigger.run_at), timezone: json::write_zone(trigger.zone) }
    }
}
