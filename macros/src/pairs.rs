//! Options that mean nothing beside another one, or without it.
//!
//! Each is right by itself. Only what is surely idle is refused: a value that is an expression may be anything.

use syn::{Expr, Lit};

use crate::args::{Given, Kind, Mistakes, Value};
use crate::function::Function;
use crate::validate::{is_none, text};

/// Tells every option that would do nothing, where it stands.
pub(crate) fn check(options: &[Given], function: Option<&Function>, mistakes: &mut Mistakes) {
    let said = Said(options);
    for given in options {
        let name = given.known.name;
        let idle = said.idle_by_trigger(given.known.method).or_else(|| said.idle_by_option(name));
        let idle = idle.or_else(|| match function {
            Some(function) if name == "args" && function.arguments.is_empty() => {
                Some("has no use: the function takes no arguments".to_owned())
            }
            _ => None,
        });
        if let Some(why) = idle {
            mistakes.add(syn::Error::new(given.key.span(), format!("`{name}` {why}")));
        }
    }
}

struct Said<'a>(&'a [Given]);

impl Said<'_> {
    /// The value of an option, if it was said.
    fn value(&self, name: &str) -> Option<&Expr> {
        let given = self.0.iter().find(|given| given.known.name == name)?;
        match &given.value {
            Value::Expr(value) => Some(value),
            Value::Type(_) | Value::Path(_) => None,
        }
    }

    /// Why an option means nothing to the trigger there is.
    fn idle_by_trigger(&self, option: &str) -> Option<String> {
        let trigger = self.0.iter().find(|given| given.known.kind == Kind::Trigger);
        let has_first_run = self.value("next_run_time").is_some_and(|value| !is_none(value));
        Some(match (option, trigger.map(|given| given.known.name)) {
            ("jitter" | "coalesce" | "max_catch_up", Some("at")) => {
                "has no use beside `at`, which is one instant".to_owned()
            }
            ("next_run_time", Some("at")) if has_first_run => {
                "beside `at`: both say when the task runs, so leave one out".to_owned()
            }
            ("next_run_time", None) if has_first_run => {
                "needs a trigger beside it; for one run write `at` in its place".to_owned()
            }
            ("retries" | "retry_backoff", Some("on")) => {
                "has no use beside `on`: nothing is tried again when the scheduler stops".to_owned()
            }
            (
                "jitter" | "coalesce" | "max_catch_up" | "misfire_grace_time" | "overlap" | "queue_limit",
                Some("on"),
            ) => "has no use beside `on`, which has no instants".to_owned(),
            _ => return None,
        })
    }

    /// Why an option means nothing beside another one, or without it.
    fn idle_by_option(&self, option: &str) -> Option<String> {
        let written = |name| self.value(name).and_then(text).map(|text| text.value());
        match option {
            "queue_limit" if self.value("overlap").is_none() => {
                Some("has no use without `overlap = \"queue_all\"`".to_owned())
            }
            "queue_limit" => written("overlap")
                .filter(|overlap| overlap != "queue_all")
                .map(|overlap| format!("has no use beside `overlap = \"{overlap}\"`: write `overlap = \"queue_all\"`")),
            "retry_backoff" if self.value("retries").is_none_or(is_zero) => {
                Some("has no use without `retries`: add `retries = 3`".to_owned())
            }
            "max_catch_up" if self.value("coalesce").is_some_and(is_true) => {
                Some("has no use beside `coalesce = true`, with which only the latest runs: write `coalesce = false`".to_owned())
            }
            _ => None,
        }
    }
}

fn is_zero(value: &Expr) -> bool {
    matches!(literal(value), Some(Lit::Int(number)) if number.base10_digits() == "0")
}

fn is_true(value: &Expr) -> bool {
    matches!(literal(value), Some(Lit::Bool(flag)) if flag.value)
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        // A literal that a `macro_rules!` passes on.
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
