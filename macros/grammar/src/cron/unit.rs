//! What all fields of both forms share: comma lists of `*`, `*/n`, `a`, `a/n`, `a-b` and `a-b/n`.

use super::Years;
use crate::SyntaxError;

/// A field: what it is called in errors, and which values it takes.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    min: u32,
    max: u32,
    /// Three-letter names of the values from `first_named` on.
    names: &'static [&'static str],
    first_named: u32,
    dialect: Dialect,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Fields,
    Expression,
    /// Weekdays of expressions, where Sunday is 0 and 7.
    TwoSundays,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEKDAYS_FROM_SUNDAY: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The values of one item, before they are counted into a set.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) step: u32,
    /// Whether the item is a single value, with no `*`, `/` or `-`.
    pub(super) plain: bool,
}

impl Span {
    /// The values as bits; for all units but years.
    pub(super) fn bits(self) -> u64 {
        if self.step == 1 {
            return (u64::MAX >> (63 - (self.to - self.from))) << self.from;
        }
        (self.from..=self.to).step_by(self.step as usize).fold(0, |bits, value| bits | 1 << value)
    }

    pub(super) fn add_to(self, years: &mut Years) {
        years.insert(self.from, self.to, self.step);
    }
}

impl Unit {
    const fn new(name: &'static str, min: u32, max: u32, dialect: Dialect) -> Self {
        Self { name, min, max, names: &[], first_named: 0, dialect }
    }

    const fn named(self, names: &'static [&'static str], first_named: u32) -> Self {
        Self { names, first_named, ..self }
    }

    /// A field of an expression, by its place among the seven.
    pub(super) const EXPRESSION: [Self; 7] = [
        Self::new("second", 0, 59, Dialect::Expression),
        Self::new("minute", 0, 59, Dialect::Expression),
        Self::new("hour", 0, 23, Dialect::Expression),
        Self::new("day", 1, 31, Dialect::Expression),
        Self::new("month", 1, 12, Dialect::Expression).named(&MONTHS, 1),
        Self::new("weekday", 0, 7, Dialect::TwoSundays).named(&WEEKDAYS_FROM_SUNDAY, 0),
        Self::new("year", 1970, 9999, Dialect::Expression),
    ];

    /// A field of Asyncz, by its place in `FIELD_NAMES`.
    pub(super) const FIELDS: [Self; 8] = [
        Self::new("year", 1970, 9999, Dialect::Fields),
        Self::new("month", 1, 12, Dialect::Fields).named(&MONTHS, 1),
        Self::new("day", 1, 31, Dialect::Fields),
        Self::new("week", 1, 53, Dialect::Fields),
        Self::new("day_of_week", 0, 6, Dialect::Fields).named(&WEEKDAYS, 0),
        Self::new("hour", 0, 23, Dialect::Fields),
        Self::new("minute", 0, 59, Dialect::Fields),
        Self::new("second", 0, 59, Dialect::Fields),
    ];

    /// Calls `each` with every item of a comma list, blanks around it cut off.
    pub(super) fn items<'a>(
        &self,
        list: &'a str,
        mut each: impl FnMut(&'a str) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        // Most lists are one item, in which a comma would have to be looked for.
        if let [b'*' | b'0'..=b'9'] | [b'0'..=b'9', b'0'..=b'9'] = list.as_bytes() {
            return each(list);
        }
        for item in list.split(',') {
            let item = item.trim();
            if item.is_empty() {
                return Err(self.error(list, "an item is empty: write a value"));
            }
            each(item)?;
        }
        Ok(())
    }

    /// The whole list as a set of bits, and whether all its items are plain. For all units but years.
    pub(super) fn set(&self, list: &str) -> Result<(u64, bool), SyntaxError> {
        let (mut bits, mut plain) = (0, true);
        self.items(list, |item| {
            let span = self.span(item)?;
            bits |= span.bits();
            plain &= span.plain;
            Ok(())
        })?;
        Ok((bits, plain))
    }

    /// The whole list as a set of years.
    pub(super) fn years(&self, list: &str) -> Result<Years, SyntaxError> {
        if list == "*" {
            return Ok(Years::ALL);
        }
        let mut years = Years::NONE;
        self.items(list, |item| {
            self.span(item)?.add_to(&mut years);
            Ok(())
        })?;
        Ok(years)
    }

    /// Reads one item: `*`, `a` or `a-b`, each with or without a step.
    pub(super) fn span(&self, item: &str) -> Result<Span, SyntaxError> {
        // Most items are one of these two, which need not be looked through for marks.
        match item.as_bytes() {
            [b'*'] => return Ok(Span { from: self.min, to: self.max, step: 1, plain: false }),
            [b'0'..=b'9'] | [b'0'..=b'9', b'0'..=b'9'] => {
                let value = self.value(item, item)?;
                return Ok(Span { from: value, to: value, step: 1, plain: true });
            }
            _ => {}
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let mut plain = false;
        let (mut from, mut to) = if range == "*" || range == "?" && self.dialect != Dialect::Fields {
            (self.min, self.max)
        } else if let Some((from, to)) = range.split_once('-') {
            (self.value(from, item)?, self.value(to, item)?)
        } else {
            let from = self.value(range, item)?;
            plain = step.is_none();
            (from, if plain { from } else { self.max })
        };
        if self.dialect == Dialect::TwoSundays && !plain {
            // A Sunday that begins a range is 0, one that ends it is 7.
            from = if from == 7 { 0 } else { from };
            to = if to == 0 { 7 } else { to };
        }
        if from > to {
            return Err(self.runs_backwards(range, item));
        }
        let step = match step {
            Some(step) => self.step(step, to - from, item)?,
            None => 1,
        };
        Ok(Span { from, to, step, plain })
    }

    /// Reads a single value, a number or a name, that stands in `item`.
    pub(super) fn value(&self, text: &str, item: &str) -> Result<u32, SyntaxError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(value) if (self.min..=self.max).contains(&value) => Ok(value),
                _ => Err(self.error(item, &format!("write {}", self.values()))),
            };
        }
        match self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            Some(index) => Ok(index as u32 + self.first_named),
            None => Err(self.error(
                item,
                &format!(
                    "write {}, `*`, `a-b`, `a/n`, `a-b/n`, `*/n` or a comma list of them",
                    self.values()
                ),
            )),
        }
    }

    fn step(&self, text: &str, span: u32, item: &str) -> Result<u32, SyntaxError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(step) if digits && (1..=span).contains(&step) => Ok(step),
            _ if span == 0 => {
                Err(self.error(item, "there is nothing to step over: write it without the step"))
            }
            _ => Err(self.error(item, &format!("write a step of 1 to {span}"))),
        }
    }

    fn runs_backwards(&self, range: &str, item: &str) -> SyntaxError {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let by_name = from.starts_with(|c: char| c.is_ascii_alphabetic());
        let (first, last) = match (self.names.len(), by_name) {
            // Monday begins a week and Sunday ends it in both forms.
            (7, true) => ("mon".to_owned(), "sun".to_owned()),
            (12, true) => ("jan".to_owned(), "dec".to_owned()),
            (7, false) if self.dialect == Dialect::TwoSundays => ("1".to_owned(), "7".to_owned()),
            _ => (self.min.to_string(), self.max.to_string()),
        };
        let written = |from: &str, to: &str| {
            if from.eq_ignore_ascii_case(to) { from.to_owned() } else { format!("{from}-{to}") }
        };
        let halves = format!("{},{}", written(from, &last), written(&first, to));
        self.error(item, &format!("the range runs backwards: write `{halves}`"))
    }

    /// The values in words: "0 to 59".
    fn values(&self) -> String {
        let numbers = format!("{} to {}", self.min, self.max);
        match self.names {
            [first, .., last] if self.dialect != Dialect::TwoSundays => {
                format!("{numbers} or {first} to {last}")
            }
            [_, ..] => format!("{numbers} (0 and 7 are Sunday) or mon to sun"),
            [] => numbers,
        }
    }

    pub(super) fn error(&self, item: &str, advice: &str) -> SyntaxError {
        SyntaxError::new(format!("{} `{item}`: {advice}", self.name))
    }
}
