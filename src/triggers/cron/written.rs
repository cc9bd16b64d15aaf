//! A cron as it is written, and what it means.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use asyncz_grammar::SyntaxError;
use asyncz_grammar::cron::{Pattern, parse_expression, parse_fields};
use rustc_hash::FxBuildHasher;

use super::fields::Texts;
use super::plan::Plan;
use crate::triggers::Digest;

/// What crons of the same text share: it is most of what a cron is.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) plan: Plan,
    pub(super) source: Source,
    /// Of an expression's text.
    pub(super) digest: Option<Digest>,
}

/// The text as written, which is what is stored.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Expression(Box<str>),
    Fields(Box<Texts>),
}

/// The expressions that were read last, each at the place of its text's hash. Thousands of tasks have the same few: to read
/// each text once makes adding them a fifth cheaper, and each task a hundred bytes smaller.
static KNOWN: Mutex<[Option<Arc<Written>>; PLACES]> = Mutex::new([const { None }; PLACES]);
const PLACES: usize = 64;

impl Written {
    /// Reads an expression, in which a day may match either of both day fields.
    pub(super) fn expression(text: &str) -> Result<Arc<Self>, SyntaxError> {
        let place = FxBuildHasher.hash_one(text) as usize % PLACES;
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = known()[place].clone().filter(|written| written.is(text)) {
            return Ok(written);
        }
        let pattern = parse_expression(text)?;
        let plan = Plan::new(&pattern, pattern.either_day);
        let mut digest = Digest::default();
        digest.add(b"cron");
        digest.add(text.as_bytes());
        let written = Arc::new(Self { plan, source: Source::Expression(text.into()), digest: Some(digest) });
        known()[place] = Some(written.clone());
        Ok(written)
    }

    /// Fields that were read already.
    pub(super) fn fields(texts: Texts, pattern: &Pattern) -> Arc<Self> {
        let source = Source::Fields(Box::new(texts));
        Arc::new(Self { plan: Plan::new(pattern, false), source, digest: None })
    }

    /// The pattern, read again from the text: only describing needs it.
    pub(super) fn pattern(&self) -> Option<Pattern> {
        match &self.source {
            Source::Expression(text) => parse_expression(text).ok(),
            Source::Fields(texts) => parse_fields(&texts.each_ref().map(|text| text.as_deref())).ok(),
        }
    }

    fn is(&self, expression: &str) -> bool {
        matches!(&self.source, Source::Expression(text) if **text == *expression)
    }
}
