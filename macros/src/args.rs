//! What stands in the brackets of `#[task(…)]`, read as written.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Lit, Path, Token, Type};

/// An option that `#[task]` knows.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// The builder's method; `mistrigger_grace_time` and `misfire_grace_time` are one.
    pub(crate) method: &'static str,
    pub(crate) kind: Kind,
    /// What may be written behind the `=`.
    pub(crate) example: &'static str,
    /// For a trigger's options: what takes an expression in their place.
    pub(crate) expression: Option<&'static str>,
}

/// What an option takes, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Says when the task runs; a task has one of these.
    Trigger,
    /// Belongs to the trigger.
    OfTrigger,
    /// Says how the expansion is to be made.
    OfExpansion,
    /// A text, or an expression for one: a call of the method.
    Text,
    /// `true`, `false` or an expression for one.
    Flag,
    /// A whole number from 1, or an expression for one.
    Count,
    /// The same, from 0.
    CountOrZero,
    /// One of the words of an enum's variants, in quotes, or an expression for the enum.
    Word(&'static Words),
    /// A duration's text, or an expression for a `Duration`.
    Duration,
    /// The same, or `none`.
    DurationOrNone,
    /// A time's text, `none`, or an expression.
    NextRunTime,
    /// An expression for whatever serialises.
    Args,
    /// Texts in square brackets.
    Texts,
}

/// An enum of the crate's, and the words for its variants: those in snake case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) of: &'static str,
    pub(crate) words: &'static [&'static str],
}

const OVERLAP: Words =
    Words { of: "Overlap", words: &["skip", "queue", "queue_all", "cancel_other", "abort_other", "allow"] };
const RECOVER: Words = Words { of: "Recover", words: &["rerun", "abandon"] };

const fn known(name: &'static str, kind: Kind, example: &'static str) -> Known {
    Known { name, method: name, kind, example, expression: None }
}

const fn trigger(name: &'static str, kind: Kind, example: &'static str, expression: &'static str) -> Known {
    Known { expression: Some(expression), ..known(name, kind, example) }
}

/// All options; a new one that is a method of `Task` needs a line here and nothing else.
pub(crate) const OPTIONS: &[Known] = &[
    trigger("cron", Kind::Trigger, r#""0 9 * * mon-fri""#, "CronTrigger::new(…)?"),
    trigger("every", Kind::Trigger, r#""30s""#, "IntervalTrigger::every(…)"),
    trigger("at", Kind::Trigger, r#""2026-12-24T18:00:00+01:00""#, "DateTrigger::at(…)"),
    known("on", Kind::Trigger, r#""shutdown""#),
    known("trigger", Kind::Trigger, "my_trigger()"),
    trigger("timezone", Kind::OfTrigger, r#""Europe/Berlin""#, "CronTrigger::new(…)?.timezone(…)"),
    trigger("start_at", Kind::OfTrigger, r#""2026-12-24T18:00:00Z""#, "CronTrigger::new(…)?.start_at(…)"),
    trigger("end_at", Kind::OfTrigger, r#""2026-12-31T18:00:00Z""#, "CronTrigger::new(…)?.end_at(…)"),
    known("jitter", Kind::Duration, r#""5s""#),
    known("id", Kind::Text, r#""digest""#),
    known("name", Kind::Text, r#""sends the digest""#),
    known("store", Kind::Text, r#""default""#),
    known("executor", Kind::Text, r#""threadpool""#),
    known("coalesce", Kind::Flag, "true"),
    known("max_instances", Kind::Count, "1"),
    known("max_catch_up", Kind::Count, "1000"),
    known("misfire_grace_time", Kind::DurationOrNone, r#""30s""#),
    Known {
        method: "misfire_grace_time",
        ..known("mistrigger_grace_time", Kind::DurationOrNone, r#""30s""#)
    },
    known("overlap", Kind::Word(&OVERLAP), r#""skip""#),
    known("queue_limit", Kind::Count, "10"),
    known("retries", Kind::CountOrZero, "3"),
    known("retry_backoff", Kind::Duration, r#""1s""#),
    known("timeout", Kind::DurationOrNone, r#""5m""#),
    known("recover", Kind::Word(&RECOVER), r#""abandon""#),
    known("next_run_time", Kind::NextRunTime, r#""2026-12-24T18:00:00+01:00""#),
    known("args", Kind::Args, "(1, 2)"),
    known("enabled", Kind::Flag, "true"),
    known("replace_existing", Kind::Flag, "true"),
    known("was", Kind::Texts, r#"["app::old_name"]"#),
    known("handler", Kind::OfExpansion, r#""app::send_digest""#),
    known("state", Kind::OfExpansion, "AppState"),
    known("crate", Kind::OfExpansion, "asyncz"),
];

/// An option that was written.
pub(crate) struct Given {
    pub(crate) known: &'static Known,
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Expr(Expr),
    Type(Type),
    Path(Path),
}

/// Everything that is wrong, so that it is all told at once.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    pub(crate) fn add(&mut self, mistake: syn::Error) {
        match &mut self.0 {
            Some(mistakes) => mistakes.combine(mistake),
            None => self.0 = Some(mistake),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of a result; its error goes with the others.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|mistake| self.add(mistake)).ok()
    }

    pub(crate) fn into_compile_errors(self) -> Option<TokenStream> {
        self.0.map(|mistakes| mistakes.into_compile_error())
    }
}

/// The options in the order in which they were written, each once.
pub(crate) fn read(brackets: TokenStream, mistakes: &mut Mistakes) -> Vec<Given> {
    let mut options: Vec<Given> = Vec::new();
    let parse = |input: ParseStream| {
        while !input.is_empty() {
            if let Some(given) = mistakes.take(option(input)) {
                if options.iter().any(|other| other.known.method == given.known.method) {
                    let message = format!("`{}` is said twice: leave one out", given.known.method);
                    mistakes.add(syn::Error::new(given.key.span(), message));
                } else {
                    options.push(given);
                }
            }
            skip_to_comma(input)?;
        }
        Ok(())
    };
    let parsed = parse.parse2(brackets);
    mistakes.take(parsed);
    options
}

/// Passes over what is left of a wrong option, so that the next one is read too, and over the comma.
fn skip_to_comma(input: ParseStream) -> syn::Result<()> {
    while !input.is_empty() {
        if input.parse::<Option<Token![,]>>()?.is_some() {
            break;
        }
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn option(input: ParseStream) -> syn::Result<Given> {
    if !input.peek(syn::Ident::peek_any) {
        return Err(input.error("write options as `cron = \"0 9 * * mon-fri\"`, with commas between them"));
    }
    let key = input.call(Ident::parse_any)?;
    let name = key.to_string();
    let Some(known) = OPTIONS.iter().find(|known| known.name == name) else {
        return Err(syn::Error::new(key.span(), unknown(&name)));
    };
    if input.is_empty() || input.peek(Token![,]) || !input.peek(Token![=]) {
        let message = format!("`{name}` lacks its value: write `{name} = {}`", known.example);
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        let message = format!("`{name}` lacks its value: write `{name} = {}`", known.example);
        return Err(syn::Error::new(key.span(), message));
    }
    let without_quotes = |error: syn::Error| match input.peek(Lit) {
        true => input.error(format!("write it without quotes: `{name} = {}`", known.example)),
        false => error,
    };
    let value = match known.name {
        "state" => Value::Type(input.parse().map_err(without_quotes)?),
        "crate" => Value::Path(input.call(Path::parse_mod_style).map_err(without_quotes)?),
        _ => Value::Expr(input.parse()?),
    };
    if !input.is_empty() && !input.peek(Token![,]) {
        return Err(input.error(format!("write a comma behind the value of `{name}`")));
    }
    Ok(Given { known, key, value })
}

fn unknown(name: &str) -> String {
    match asyncz_grammar::nearest(name, OPTIONS.iter().map(|known| known.name)) {
        Some(known) => format!("there is no option `{name}`: did you mean `{known}`?"),
        None => {
            let names: Vec<_> = OPTIONS.iter().map(|known| known.name).collect();
            format!("there is no option `{name}`; there are: {}", names.join(", "))
        }
    }
}
