//! Intersection and union.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::Member;
use super::{DateTrigger, Trigger, invalid, just_before};
use crate::Error;
use crate::zone::Zone;

/// The members of a combination: shared, so that a clone costs nothing.
type Members = Arc<[Arc<dyn Trigger>]>;

/// The instants that all its members have.
///
/// A search leaps to the latest of its members' next instants until they agree. It answers `None` when a member has
/// ended, and gives up with `None` after 10,000 leaps, those of combinations inside it included.
///
/// ```
/// use asyncz::{AndTrigger, CronTrigger, IntervalTrigger, Trigger};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let weekdays = CronTrigger::new("0 * * * mon-fri")?;
/// let half_days = IntervalTrigger::builder().hours(12).start_at("2024-05-03T00:00:00Z".parse()?).build()?;
/// let both = AndTrigger::new([Box::new(weekdays) as Box<dyn Trigger>, half_days.into()])?;
/// assert_eq!(both.next_after("2024-05-03T12:00:00Z".parse()?), Some("2024-05-06T00:00:00Z".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "ReadForm", into = "WriteForm")]
pub struct AndTrigger {
    triggers: Members,
}

/// The instants that any of its members has.
///
/// ```
/// use asyncz::{CronTrigger, IntervalTrigger, OrTrigger, Trigger};
/// # use std::time::Duration;
/// # fn main() -> Result<(), asyncz::Error> {
/// let (evenings, hours) = (CronTrigger::new("30 18 * * *")?, IntervalTrigger::every(Duration::from_secs(3600)));
/// // Triggers of different types: the first says of what type all of them are to be.
/// let either = OrTrigger::new([Box::new(evenings) as Box<dyn Trigger>, Box::new(hours)])?;
/// # let _ = either;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "ReadForm", into = "WriteForm")]
pub struct OrTrigger {
    triggers: Members,
}

/// After so many leaps in one search the members of an `and` count as never meeting.
const MOST_LEAPS: u32 = 10_000;

impl AndTrigger {
    /// The intersection of these triggers.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn new<I>(triggers: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<Box<dyn Trigger>>,
    {
        members(triggers).map(|triggers| Self { triggers })
    }

    /// No instant at all, for sets that turn out to be empty when they are anchored: two dates that never meet.
    pub(super) fn nothing() -> Box<dyn Trigger> {
        let dates = [DateTime::UNIX_EPOCH, just_before(DateTime::UNIX_EPOCH)];
        Box::new(Self { triggers: dates.map(|at| Arc::new(DateTrigger::at(at)) as Arc<dyn Trigger>).into() })
    }
}

impl OrTrigger {
    /// The union of these triggers.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn new<I>(triggers: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<Box<dyn Trigger>>,
    {
        members(triggers).map(|triggers| Self { triggers })
    }
}

#[typetag::serde(name = "and")]
impl Trigger for AndTrigger {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.search(after, &mut MOST_LEAPS.clone())
    }

    fn search(&self, after: DateTime<Utc>, leaps: &mut u32) -> Option<DateTime<Utc>> {
        let mut after = after;
        // Who named the instant that all are asked about now: it needs not be asked again.
        let mut named_by = None;
        loop {
            let mut latest = named_by.map(|(_, at)| at);
            let mut agreed = true;
            for (index, trigger) in self.triggers.iter().enumerate() {
                if named_by.is_some_and(|(namer, _)| namer == index) {
                    continue;
                }
                let next = trigger.search(after, leaps)?;
                agreed &= latest.is_none_or(|latest| latest == next);
                if latest.is_none_or(|latest| latest < next) {
                    latest = Some(next);
                    named_by = Some((index, next));
                }
            }
            if agreed {
                return latest;
            }
            *leaps = leaps.checked_sub(1)?;
            after = just_before(latest?);
        }
    }

    fn anchored(&self, now: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger> {
        Box::new(Self { triggers: anchored(&self.triggers, now, zone) })
    }

    fn describe(&self) -> String {
        describe(&self.triggers, ", and also ")
    }

    fn jitter(&self) -> Duration {
        greatest_jitter(&self.triggers)
    }

    fn end(&self) -> Option<DateTime<Utc>> {
        self.triggers.iter().filter_map(|trigger| trigger.end()).min()
    }

    fn at_shutdown(&self) -> bool {
        self.triggers.iter().all(|trigger| trigger.at_shutdown())
    }
}

#[typetag::serde(name = "or")]
impl Trigger for OrTrigger {
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.triggers.iter().filter_map(|trigger| trigger.next_after(after)).min()
    }

    fn search(&self, after: DateTime<Utc>, leaps: &mut u32) -> Option<DateTime<Utc>> {
        self.triggers.iter().filter_map(|trigger| trigger.search(after, leaps)).min()
    }

    fn anchored(&self, now: DateTime<Utc>, zone: &Zone) -> Box<dyn Trigger> {
        Box::new(Self { triggers: anchored(&self.triggers, now, zone) })
    }

    fn describe(&self) -> String {
        describe(&self.triggers, ", or ")
    }

    fn jitter(&self) -> Duration {
        greatest_jitter(&self.triggers)
    }

    fn end(&self) -> Option<DateTime<Utc>> {
        let ends: Option<Vec<_>> = self.triggers.iter().map(|trigger| trigger.end()).collect();
        ends?.into_iter().max()
    }

    fn at_shutdown(&self) -> bool {
        self.triggers.iter().any(|trigger| trigger.at_shutdown())
    }
}

fn members<I>(triggers: I) -> Result<Members, Error>
where
    I: IntoIterator,
    I::Item: Into<Box<dyn Trigger>>,
{
    let members: Members = triggers.into_iter().map(|trigger| Arc::from(trigger.into())).collect();
    if members.is_empty() {
        return Err(invalid("triggers `[]`: write at least one trigger"));
    }
    Ok(members)
}

fn anchored(triggers: &Members, now: DateTime<Utc>, zone: &Zone) -> Members {
    triggers.iter().map(|trigger| Arc::from(trigger.anchored(now, zone))).collect()
}

/// Combinations inside stand in brackets.
fn describe(triggers: &Members, joint: &str) -> String {
    let each = triggers.iter().map(|trigger| {
        let text = trigger.describe();
        if text.contains(", or ") || text.contains(", and also ") { format!("({text})") } else { text }
    });
    each.collect::<Vec<_>>().join(joint)
}

fn greatest_jitter(triggers: &Members) -> Duration {
    triggers.iter().map(|trigger| trigger.jitter()).max().unwrap_or_default()
}

/// The JSON form, read member by member, so that an error tells which one it is in.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReadForm {
    triggers: Member,
}

#[derive(Serialize)]
struct WriteForm {
    triggers: Members,
}

impl ReadForm {
    fn members(self) -> Result<Members, Error> {
        let list = match self.triggers {
            Some(Value::Array(list)) => list,
            Some(other) => return Err(invalid(format!("triggers `{other}`: write a list of triggers"))),
            None => return Err(invalid("triggers is missing: write a list of triggers")),
        };
        let read = |(index, value): (usize, Value)| {
            serde_json::from_value::<Box<dyn Trigger>>(value)
                .map_err(|error| invalid(format!("triggers[{index}]: {error}")))
        };
        members(list.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?)
    }
}

impl TryFrom<ReadForm> for AndTrigger {
    type Error = Error;

    fn try_from(form: ReadForm) -> Result<Self, Error> {
        form.members().map(|triggers| Self { triggers })
    }
}

impl TryFrom<ReadForm> for OrTrigger {
    type Error = Error;

    fn try_from(form: ReadForm) -> Result<Self, Error> {
        form.members().map(|triggers| Self { triggers })
    }
}

impl From<AndTrigger> for WriteForm {
    fn from(trigger: AndTrigger) -> Self {
        Self { triggers: trigger.triggers }
    }
}

impl From<OrTrigger> for WriteForm {
    fn from(trigger: OrTrigger) -> Self {
        Self { triggers: trigger.triggers }
    }
}
