//! What a configuration says of one store or executor.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use asyncz_grammar::nearest;
use serde_json::Value;

use super::{Entry, secrets, values};

/// The options of a store or an executor in a configuration, for types of your own:
/// [`AsynczConfig::register_store_type`](crate::AsynczConfig::register_store_type).
///
/// Each method looks for one option: `None` where it is not given. One that can't be read is told by the scheduler beside
/// everything else that is wrong with the configuration, and then the store is not used, so that a wrong option need
/// not be told from one that is not there. An option that nobody asks for is an error, too.
pub struct TypeOptions {
    /// Such as `stores.default`.
    part: String,
    given: BTreeMap<String, Entry>,
    /// The options that were asked for.
    known: Vec<String>,
    /// Those among them that nobody shall see.
    secret: Vec<String>,
    problems: Vec<String>,
}

impl TypeOptions {
    pub(super) fn new(part: String, given: BTreeMap<String, Entry>) -> Self {
        Self { part, given, known: Vec::new(), secret: Vec::new(), problems: Vec::new() }
    }

    /// The alias that the store or executor gets.
    pub fn alias(&self) -> &str {
        self.part.split_once('.').map_or("", |(_, alias)| alias)
    }

    /// A text.
    pub fn text(&mut self, option: &str) -> Option<String> {
        self.read(option, values::text)
    }

    /// A text that is never shown in an error: an address, a password, a key.
    pub fn secret(&mut self, option: &str) -> Option<String> {
        self.secret.push(option.to_owned());
        self.read(option, values::text)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, option: &str) -> Option<bool> {
        self.read(option, values::flag)
    }

    /// A whole number from 0 up.
    pub fn whole_number(&mut self, option: &str) -> Option<u64> {
        self.read(option, |value| values::whole_number(value, 0, u64::MAX))
    }

    /// A time: a number of seconds, or a text such as `30s`.
    pub fn time(&mut self, option: &str) -> Option<Duration> {
        self.read(option, values::time)
    }

    /// Refuses the option's value, which can be read and yet not be used; `allowed` says what to write instead.
    pub fn refuse(&mut self, option: &str, allowed: impl fmt::Display) {
        if let Some(problem) = self.wrong(option, &allowed.to_string()) {
            self.problems.push(problem);
        }
    }

    pub(super) fn at_least_1(&mut self, option: &str) -> Option<u64> {
        self.read(option, |value| values::whole_number(value, 1, u32::MAX.into()))
    }

    fn read<T>(&mut self, option: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        self.known.push(option.to_owned());
        match read(&self.given.get(option)?.value) {
            Ok(value) => Some(value),
            Err(allowed) => {
                self.refuse(option, allowed);
                None
            }
        }
    }

    fn wrong(&self, option: &str, allowed: &str) -> Option<String> {
        let (entry, key) = (self.given.get(option)?, format!("{}.{option}", self.part));
        Some(match self.secret.iter().any(|secret| secret == option) {
            true => format!("{}{}: {allowed}", entry.source.place(), entry.source.key(&key)),
            false => entry.wrong(&key, allowed),
        })
    }

    /// `stores.default`.
    pub(super) fn part(&self) -> &str {
        &self.part
    }

    /// Takes an option out: it is not the type's.
    pub(super) fn take(&mut self, option: &str) -> Option<Entry> {
        self.given.remove(option)
    }

    /// The part in messages, in the words of whoever has written something of it.
    pub(super) fn name(&self) -> String {
        match self.given.values().next() {
            Some(entry) => format!("{}{}", entry.source.place(), entry.source.key(&self.part)),
            None => format!("asyncz.{}", self.part),
        }
    }

    /// The problems that were found, those options among them that nobody has asked for.
    pub(super) fn problems(&self, kind: &str) -> Vec<String> {
        let unknown = self.given.iter().filter(|(option, _)| !self.known.contains(option));
        let unknown = unknown.map(|(option, entry)| {
            let key = |option: &str| format!("{}.{option}", self.part);
            let meant = nearest(&option.to_lowercase(), self.known.iter().map(String::as_str)).map(key);
            entry.unknown(&key(option), meant.as_deref(), || match &self.known[..] {
                [] => format!("`{kind}` has no options"),
                known => format!("the options of `{kind}` are: {}", known.join(", ")),
            })
        });
        self.problems.iter().cloned().chain(unknown).collect()
    }

    /// A message of a type's own, without what may be a secret.
    pub(super) fn cleaned(&self, message: String) -> String {
        let hidden = self.given.iter().filter(|(option, entry)| {
            self.secret.contains(option) || !secrets::may_be_shown(option, &entry.value)
        });
        secrets::without(message, hidden.map(|(_, entry)| &entry.value))
    }
}

/// Its keys; values may be secrets.
impl fmt::Debug for TypeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeOptions")
            .field("part", &self.part)
            .field("given", &self.given.keys())
            .finish_non_exhaustive()
    }
}
