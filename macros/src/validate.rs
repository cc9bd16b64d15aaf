//! What the options say, checked one by one.

use asyncz_grammar::date::Time;
use asyncz_grammar::{date, duration};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Lit, LitStr, Path, Type, UnOp, parse_quote};

use crate::args::{Given, Kind, Known, Mistakes, Value, Words};
use crate::trigger::{self, Trigger};

/// A task as it was declared.
pub(crate) struct Declaration {
    /// Where asyncz is found.
    pub(crate) krate: Path,
    pub(crate) state: Option<Type>,
    pub(crate) handler: Option<LitStr>,
    pub(crate) trigger: Option<Trigger>,
    /// What may be meant otherwise, and where it stands.
    pub(crate) doubt: Option<(Span, String)>,
    /// Calls of the builder's methods.
    pub(crate) calls: Vec<TokenStream>,
}

/// Reads the options' values.
pub(crate) fn declaration(options: &[Given], mistakes: &mut Mistakes) -> Declaration {
    let mut declaration = Declaration {
        krate: parse_quote!(::asyncz),
        state: None,
        handler: None,
        trigger: trigger::read(options, mistakes),
        doubt: options.iter().find_map(trigger::quartz_weekday),
        calls: Vec::new(),
    };
    for given in options {
        match (&given.value, given.known.kind) {
            (Value::Type(state), _) => declaration.state = Some(state.clone()),
            (Value::Path(path), _) => declaration.krate = path.clone(),
            (Value::Expr(value), Kind::OfExpansion) => {
                declaration.handler = mistakes.take(literal(given, value).and_then(not_empty));
            }
            (Value::Expr(value), kind) => {
                declaration.calls.extend(mistakes.take(call(given, kind, value)).flatten());
            }
        }
    }
    declaration
}

/// The call of the builder's method; `None` for what belongs to the trigger.
fn call(given: &Given, kind: Kind, value: &Expr) -> syn::Result<Option<TokenStream>> {
    let method = Ident::new(given.known.method, given.key.span());
    let value = match kind {
        Kind::Trigger | Kind::OfTrigger | Kind::OfExpansion => return Ok(None),
        Kind::Text => text_or_expression(given, value)?,
        Kind::Flag => flag(given, value)?,
        Kind::Count => count(given, value, 1)?,
        Kind::CountOrZero => count(given, value, 0)?,
        Kind::Word(words) => word_or_expression(given, words, value)?,
        Kind::Duration => duration_or_expression(given, value)?,
        Kind::DurationOrNone if is_none(value) => {
            quote!(::core::option::Option::None::<::core::time::Duration>)
        }
        Kind::DurationOrNone => duration_or_expression(given, value)?,
        Kind::NextRunTime => return next_run_time(given, value).map(Some),
        Kind::Args => return Ok(Some(quote!(.declared_args(#value)))),
        Kind::Texts => texts(given, value)?,
    };
    Ok(Some(quote!(.#method(#value))))
}

/// The text that a literal is.
pub(crate) fn text(value: &Expr) -> Option<LitStr> {
    match value {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text.clone()),
            _ => None,
        },
        // A literal that a `macro_rules!` passes on.
        Expr::Group(group) => text(&group.expr),
        _ => None,
    }
}

/// A text that must be known now, so that it can be checked.
pub(crate) fn literal(given: &Given, value: &Expr) -> syn::Result<LitStr> {
    text(value).ok_or_else(|| {
        let Known { name, example, .. } = given.known;
        let otherwise = match (given.known.expression, value) {
            (Some(expression), value) if !matches!(value, Expr::Lit(_)) => {
                format!("; an expression goes into `trigger = {expression}`")
            }
            _ => String::new(),
        };
        let message = format!("write a text in quotes, `{name} = {example}`{otherwise}");
        syn::Error::new_spanned(value, message)
    })
}

fn not_empty(text: LitStr) -> syn::Result<LitStr> {
    match text.value().trim().is_empty() {
        true => Err(syn::Error::new(text.span(), "it is empty: write a text")),
        false => Ok(text),
    }
}

pub(crate) fn is_none(value: &Expr) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident("none"))
}

fn wrong(given: &Given, value: &Expr) -> syn::Error {
    let name = given.known.name;
    syn::Error::new_spanned(value, format!("write `{name} = {}`, or an expression", given.known.example))
}

fn text_or_expression(given: &Given, value: &Expr) -> syn::Result<TokenStream> {
    match (text(value), value) {
        (Some(text), _) => not_empty(text).map(|text| quote!(#text)),
        (None, Expr::Lit(_)) => Err(wrong(given, value)),
        (None, value) => Ok(quote!(#value)),
    }
}

fn flag(given: &Given, value: &Expr) -> syn::Result<TokenStream> {
    match value {
        Expr::Lit(lit) if !matches!(lit.lit, Lit::Bool(_)) => {
            let name = given.known.name;
            Err(syn::Error::new_spanned(
                value,
                format!("write `{name} = true` or `{name} = false`, or an expression"),
            ))
        }
        value => Ok(quote!(#value)),
    }
}

fn count(given: &Given, value: &Expr, least: u32) -> syn::Result<TokenStream> {
    let Expr::Lit(lit) = value else {
        return match value {
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => Err(wrong_count(given, value, least)),
            value => Ok(quote!(#value)),
        };
    };
    match &lit.lit {
        Lit::Int(number) if number.base10_parse::<u32>().is_ok_and(|number| number >= least) => {
            Ok(quote!(#value))
        }
        _ => Err(wrong_count(given, value, least)),
    }
}

fn word_or_expression(given: &Given, words: &Words, value: &Expr) -> syn::Result<TokenStream> {
    let name = given.known.name;
    let choice = || words.words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match (text(value), value) {
        (Some(text), _) if words.words.contains(&text.value().as_str()) => {
            let of = Ident::new(words.of, Span::call_site());
            let variant = Ident::new(&camel_case(&text.value()), text.span());
            Ok(quote!(__private::#of::#variant))
        }
        (Some(text), _) => {
            let message = format!("{name} `{}`: write one of {}", text.value(), choice());
            Err(syn::Error::new(text.span(), message))
        }
        (None, Expr::Path(path)) if words.words.iter().any(|word| path.path.is_ident(word)) => {
            let message = format!("write it in quotes: `{name} = \"{}\"`", quote!(#value));
            Err(syn::Error::new_spanned(value, message))
        }
        (None, Expr::Lit(_)) => {
            let message = format!("{name}: write one of {} in quotes, or an expression", choice());
            Err(syn::Error::new_spanned(value, message))
        }
        (None, value) => Ok(quote!(#value)),
    }
}

fn camel_case(word: &str) -> String {
    let capitalised = |part: &str| part[..1].to_uppercase() + &part[1..];
    word.split('_').map(capitalised).collect()
}

fn wrong_count(given: &Given, value: &Expr, least: u32) -> syn::Error {
    let name = given.known.name;
    syn::Error::new_spanned(
        value,
        format!("{name} `{}`: write a whole number from {least} to 4294967295", quote!(#value)),
    )
}

fn duration_or_expression(given: &Given, value: &Expr) -> syn::Result<TokenStream> {
    let Some(text) = text(value) else {
        return match value {
            Expr::Lit(_) | Expr::Unary(_) => Err(syn::Error::new_spanned(
                value,
                format!(
                    "write a duration with its unit in quotes: `{} = {}`",
                    given.known.name, given.known.example
                ),
            )),
            value if is_none(value) => Err(wrong(given, value)),
            value => Ok(quote!(#value)),
        };
    };
    if given.known.kind == Kind::DurationOrNone {
        refuse_quoted_none(given, &text)?;
    }
    let duration = duration::parse(&text.value()).map_err(|error| syn::Error::new(text.span(), error))?;
    if duration.is_zero() && given.known.kind == Kind::DurationOrNone {
        let name = given.known.name;
        let message = format!("{name} `{}`: write a time above 0, or `none`", text.value());
        return Err(syn::Error::new(text.span(), message));
    }
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(match millis % 1_000 {
        0 => {
            let seconds = millis / 1_000;
            quote!(::core::time::Duration::from_secs(#seconds))
        }
        _ => quote!(::core::time::Duration::from_millis(#millis)),
    })
}

fn refuse_quoted_none(given: &Given, text: &LitStr) -> syn::Result<()> {
    match text.value() == "none" {
        true => {
            let message = format!("write it without quotes: `{} = none`", given.known.name);
            Err(syn::Error::new(text.span(), message))
        }
        false => Ok(()),
    }
}

fn next_run_time(given: &Given, value: &Expr) -> syn::Result<TokenStream> {
    if is_none(value) {
        return Ok(quote!(.declared_next_run_time(::core::option::Option::None)));
    }
    let Some(text) = text(value) else {
        return match value {
            Expr::Lit(_) => Err(wrong(given, value)),
            value => Ok(quote_spanned!(value.span()=> .next_run_time(#value))),
        };
    };
    refuse_quoted_none(given, &text)?;
    match date::parse(&text.value()) {
        Ok(Time::Instant { millis }) => {
            Ok(quote!(.declared_next_run_time(::core::option::Option::Some(#millis))))
        }
        Ok(Time::Local { .. }) => {
            let message = format!(
                "`{0}` is no instant yet: write its offset, such as `{0}Z` or `{0}+01:00`",
                text.value()
            );
            Err(syn::Error::new(text.span(), message))
        }
        Err(error) => Err(syn::Error::new(text.span(), error)),
    }
}

fn texts(given: &Given, value: &Expr) -> syn::Result<TokenStream> {
    let wrong = || wrong_texts(given, value);
    let Expr::Array(array) = value else { return Err(wrong()) };
    let texts: Option<Vec<_>> = array.elems.iter().map(text).collect();
    let texts = texts.ok_or_else(wrong)?;
    Ok(quote!(&[#(#texts),*]))
}

fn wrong_texts(given: &Given, value: &Expr) -> syn::Error {
    let Given { known, .. } = given;
    syn::Error::new_spanned(
        value,
        format!("write texts in square brackets: `{} = {}`", known.name, known.example),
    )
}
