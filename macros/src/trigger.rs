//! When the task runs: the trigger's options, read by the grammar that reads them at run time too.

use asyncz_grammar::date::Time;
use asyncz_grammar::{cron, date, duration, zone};
use proc_macro2::{Ident, Span};
use syn::{Expr, LitStr};

use crate::args::{Given, Kind, Mistakes, Value};
use crate::validate::{literal, text};

/// A trigger as the expansion says it.
pub(crate) enum Trigger {
    /// In the JSON form, in which a time may wait for the scheduler's zone.
    Json(String),
    /// An expression for anything that becomes a trigger.
    Expr(Expr),
}

/// What the options say of the trigger, in parts.
#[derive(Default)]
struct Parts<'a> {
    main: Option<&'a Given>,
    timezone: Option<(&'a Ident, String)>,
    start_at: Option<(LitStr, Time)>,
    end_at: Option<(LitStr, Time)>,
    limits: Vec<&'a Given>,
}

/// The trigger, if there is one and nothing is wrong with it.
pub(crate) fn read(options: &[Given], mistakes: &mut Mistakes) -> Option<Trigger> {
    // Beside an option that could not be read, others only seem to be idle.
    let is_all_there = mistakes.is_empty();
    let mut parts = Parts::default();
    for given in options {
        match (given.known.kind, given.known.name) {
            (Kind::Trigger, _) => parts.choose(given, mistakes),
            (Kind::OfTrigger, "timezone") => {
                parts.timezone = mistakes.take(timezone(given)).map(|name| (&given.key, name));
            }
            (Kind::OfTrigger, name) => {
                parts.limits.push(given);
                let time = mistakes.take(time(given));
                if name == "start_at" { parts.start_at = time } else { parts.end_at = time }
            }
            _ => {}
        }
    }
    parts.check_limits(mistakes);
    let trigger = parts.main.and_then(|main| mistakes.take(parts.trigger(main)));
    if is_all_there {
        parts.check_fit(mistakes);
    }
    trigger
}

impl<'a> Parts<'a> {
    fn choose(&mut self, given: &'a Given, mistakes: &mut Mistakes) {
        match self.main {
            None => self.main = Some(given),
            Some(first) => {
                let message = format!(
                    "`{}` beside `{}`: a task has one trigger, so leave one out (`trigger = \
                     OrTrigger::new([Box::new(…) as Box<dyn Trigger>, Box::new(…)])?` joins several)",
                    given.known.name, first.known.name
                );
                mistakes.add(syn::Error::new(given.key.span(), message));
            }
        }
    }

    fn check_limits(&self, mistakes: &mut Mistakes) {
        if let (Some((_, start)), Some((written, end))) = (&self.start_at, &self.end_at)
            && ends_before(*start, *end)
        {
            mistakes.add(syn::Error::new(
                written.span(),
                "`end_at` is before `start_at`: the task would never run",
            ));
        }
    }

    /// Whether `timezone`, `start_at` and `end_at` mean something to the trigger.
    fn check_fit(&self, mistakes: &mut Mistakes) {
        let main = self.main.map(|main| main.known.name);
        let refuse_limit = |message: &str, mistakes: &mut Mistakes| {
            for given in &self.limits {
                let message = format!("`{}` {message}", given.known.name);
                mistakes.add(syn::Error::new(given.key.span(), message));
            }
        };
        match main {
            Some("cron" | "every") => {}
            Some("at") => refuse_limit("has no use beside `at`, which is one instant", mistakes),
            Some("on") => refuse_limit("has no use beside `on`, which has no instants", mistakes),
            Some(_) => refuse_limit("is said in the trigger itself: `.start_at(…)`, `.end_at(…)`", mistakes),
            None => refuse_limit("needs a trigger beside it: `cron` or `every`", mistakes),
        }
        if let Some((key, _)) = &self.timezone
            && let Some(why) = self.idle_timezone(main)
        {
            mistakes.add(syn::Error::new(key.span(), format!("`timezone` has no use here: {why}")));
        }
    }

    /// Why a zone changes nothing, if it does not.
    fn idle_timezone(&self, main: Option<&str>) -> Option<&'static str> {
        let waits_for_zone = |main: &Given| {
            // What can't be read might have been without offset.
            time(main).map_or(true, |(_, time)| matches!(time, Time::Local { .. }))
        };
        let limit_waits = self.limits.iter().any(|given| waits_for_zone(given));
        match main {
            Some("cron") => None,
            Some("every") if limit_waits => None,
            Some("every") => Some(
                "an interval is elapsed time, and no `start_at` or `end_at` without offset is to be read in it",
            ),
            Some("at") if self.main.is_some_and(waits_for_zone) => None,
            Some("at") => Some("`at` says its offset"),
            Some("on") => Some("`on` has no instants"),
            Some(_) => Some("say it in the trigger itself: `.timezone(…)`"),
            None => Some("there is no trigger beside it"),
        }
    }

    fn trigger(&self, main: &Given) -> syn::Result<Trigger> {
        let Value::Expr(value) = &main.value else {
            return Err(syn::Error::new(main.key.span(), "write an expression"));
        };
        let mut members = match main.known.name {
            "cron" => cron(main, value)?,
            "every" => every(main, value)?,
            "at" => {
                let (text, _) = time(main)?;
                vec![("type", quoted("date")), ("run_at", quoted(&text.value()))]
            }
            "on" => on(main, value)?,
            _ => return expression(value),
        };
        let limits = [("start_at", &self.start_at), ("end_at", &self.end_at)];
        let limits =
            limits.into_iter().filter_map(|(name, limit)| Some((name, quoted(&limit.as_ref()?.0.value()))));
        members.extend(limits);
        members.extend(self.timezone.as_ref().map(|(_, name)| ("timezone", quoted(name))));
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        Ok(Trigger::Json(format!("{{{}}}", members.join(","))))
    }
}

/// As JSON. What has passed the grammar has nothing in it that JSON writes otherwise.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// Where an expression looks as if its weekdays were counted from Sunday = 1, as Quartz and the `cron` crate do: it has
/// seconds and weekdays by numbers, and a `?`, which only Quartz needs, or what would be their workdays or weekend.
pub(crate) fn quartz_weekday(given: &Given) -> Option<(Span, String)> {
    let Value::Expr(value) = &given.value else { return None };
    let written = text(value).filter(|_| given.known.name == "cron")?;
    let written_text = written.value();
    let fields: Vec<_> = written_text.split_whitespace().collect();
    let [_, _, _, day, _, weekday, ..] = fields[..] else { return None };
    let is_numbers = weekday.starts_with(|c: char| ('1'..='7').contains(&c));
    let is_doubtful = is_numbers && (day == "?" || ["2-6", "1,7", "7,1"].contains(&weekday));
    is_doubtful.then(|| {
        let note = format!(
            "weekday `{weekday}`: 1 is Monday here, as in crontabs; in Quartz and in the `cron` crate it is Sunday. Names \
             are the same everywhere: write them, such as `mon-fri`"
        );
        (written.span(), note)
    })
}

type Members = Vec<(&'static str, String)>;

fn cron(given: &Given, value: &Expr) -> syn::Result<Members> {
    let written = literal(given, value)?;
    let text = written.value();
    cron::parse_expression(&text).map_err(|error| syn::Error::new(written.span(), error))?;
    let text: Vec<_> = text.split_whitespace().collect();
    Ok(vec![("type", quoted("cron")), ("expression", quoted(&text.join(" ")))])
}

fn every(given: &Given, value: &Expr) -> syn::Result<Members> {
    let written = literal(given, value)?;
    let wrong = |message: String| syn::Error::new(written.span(), message);
    let interval = duration::parse(&written.value()).map_err(|error| wrong(error.to_string()))?;
    let millis = i64::try_from(interval.as_millis()).map_err(|_| {
        wrong(format!("interval `{}` is too long: write less than 292 million years", written.value()))
    })?;
    if millis == 0 {
        return Err(wrong(format!("interval `{}` is zero: write `1ms` or more", written.value())));
    }
    let part = match millis % 1_000 {
        0 => ("seconds", (millis / 1_000).to_string()),
        _ => ("milliseconds", millis.to_string()),
    };
    Ok(vec![("type", quoted("interval")), part])
}

fn on(given: &Given, value: &Expr) -> syn::Result<Members> {
    let written = literal(given, value)?;
    match written.value().as_str() {
        "shutdown" => Ok(vec![("type", quoted("shutdown"))]),
        other => Err(syn::Error::new(
            written.span(),
            format!("on `{other}`: write `shutdown`, the only one there is"),
        )),
    }
}

fn expression(value: &Expr) -> syn::Result<Trigger> {
    match text(value) {
        Some(_) => Err(syn::Error::new_spanned(
            value,
            "`trigger` takes an expression: write a text as `cron`, `every` or `at`",
        )),
        None => Ok(Trigger::Expr(value.clone())),
    }
}

fn timezone(given: &Given) -> syn::Result<String> {
    let Value::Expr(value) = &given.value else {
        return Err(syn::Error::new(given.key.span(), "write a zone's name in quotes"));
    };
    let written = literal(given, value)?;
    zone::check(&written.value()).map_err(|error| syn::Error::new(written.span(), error))?;
    Ok(written.value())
}

fn time(given: &Given) -> syn::Result<(LitStr, Time)> {
    let Value::Expr(value) = &given.value else {
        return Err(syn::Error::new(given.key.span(), "write a time in quotes"));
    };
    let written = literal(given, value)?;
    let time = date::parse(&written.value()).map_err(|error| syn::Error::new(written.span(), error))?;
    Ok((written, time))
}

/// As far as it can be told here: an instant and a naive time compare only in a zone.
fn ends_before(start: Time, end: Time) -> bool {
    match (start, end) {
        (Time::Instant { millis: start }, Time::Instant { millis: end })
        | (Time::Local { millis: start }, Time::Local { millis: end }) => end < start,
        _ => false,
    }
}
