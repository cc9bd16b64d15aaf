//! Encryption at rest: what is secret of a task and of a run is a sealed text in every store that outlives the process.
//!
//! A sealed text says what it is, and which key opens it: `asyncz:xc20p:<key id>:<base64>`. It is bound to what it belongs to,
//! so that one that stands elsewhere is not opened. Without keys texts stand as they are, and are read as they are with keys, too.
//!
//! A store keeps [`Keys`], makes a [`Seal`] of them at its start, has its check text looked at ([`Seal::check`]) before it does
//! anything else, gives the seal to `envelope::write` and `envelope::read`, closes what a run's end says
//! ([`Seal::close_value`], [`Seal::close_error`]) and opens what it reads of a run ([`Seal::open_run`]).

mod key;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use self::key::Key;
use super::StoreError;
use crate::task::{RunId, RunRecord};

/// Where keys are looked for unless the store is told some.
const VARIABLE: &str = "ASYNCZ_STORE_ENCRYPTION_KEY";
/// Of a random text in base64 these are 192 bits, in hexadecimal digits 128.
const SHORTEST: usize = 32;

/// What every text begins with that does not stand as it is.
const MARK: &str = "asyncz:";
/// A text that only looks like a sealed one.
const PLAIN: &str = "asyncz:plain:";
const SEALED: &str = "asyncz:xc20p:";

/// The keys that a store was told, if it was; they are never shown.
#[derive(Clone, Default)]
pub(super) struct Keys(Option<Vec<String>>);

impl Keys {
    /// These, whatever the variable says. The first encrypts, all decrypt.
    pub(super) fn told<T: Into<String>>(keys: impl IntoIterator<Item = T>) -> Self {
        Self(Some(keys.into_iter().map(Into::into).collect()))
    }

    /// What a store that starts seals with, or what is wrong with the keys.
    pub(super) fn seal(&self) -> Result<Seal, StoreError> {
        let (named, keys) = match &self.0 {
            Some(keys) => ("encryption_keys", keys.clone()),
            None => match std::env::var_os(VARIABLE) {
                None => return Ok(Seal::default()),
                Some(text) => {
                    let text = text.into_string();
                    let text = text.map_err(|_| StoreError::new(format!("{VARIABLE} is no text")))?;
                    (VARIABLE, text.split(',').map(|key| key.trim().to_owned()).collect())
                }
            },
        };
        if keys.is_empty() {
            return Err(StoreError::new(format!("{named} has no key: leave it out, or write one")));
        }
        let read = |(at, key): (usize, &String)| match key.len() {
            SHORTEST.. => Key::new(key).map_err(|error| StoreError::new(format!("{named}: {error}"))),
            length => Err(StoreError::new(format!(
                "{named}: key {} of {} has {length} characters, which is too short: write 32 random bytes in base64 or as \
                 hexadecimal digits (`openssl rand -base64 32`), with a comma between two keys",
                at + 1,
                keys.len()
            ))),
        };
        Ok(Seal { keys: keys.iter().enumerate().map(read).collect::<Result<_, _>>()?, named })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.0.is_some() { "told" } else { VARIABLE };
        f.debug_tuple("Keys").field(&said).finish()
    }
}

/// Seals and opens texts, by the keys that a store has; without any they stand as they are.
#[derive(Clone, Default)]
pub(super) struct Seal {
    keys: Arc<[Key]>,
    named: &'static str,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("keys", &self.ids()).finish()
    }
}

/// What tells the check text of a store from all else.
const CHECK: &str = "check";
const CHECKED: &str = "the key is right";

impl Seal {
    /// Whether anything is sealed by it.
    pub(super) fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Says what is to stand as the store's check text in place of what stands there (`known`): `None`, if that is right. It
    /// is to be written only where nobody has written another meanwhile, and then to be asked again.
    ///
    /// # Errors
    ///
    /// Where the store is encrypted by a key that is not among these: nothing must be written then.
    pub(super) fn check(&self, known: Option<&str>) -> Result<Option<String>, StoreError> {
        if let Some(known) = known {
            self.open(CHECK, known.to_owned()).map_err(|reason| {
                StoreError::new(format!("the store is encrypted, and its check text can't be read: {reason}"))
            })?;
        }
        let first = self.keys.first().map(Key::id);
        let is_right = first.is_none() || first == known.and_then(key_of);
        if is_right { Ok(None) } else { self.close(CHECK, CHECKED.to_owned()).map(Some) }
    }

    /// A text as it is to be written; `of` says what it belongs to: a word for the field, and an id.
    pub(super) fn close(&self, of: &str, text: String) -> Result<String, StoreError> {
        match self.keys.first() {
            Some(key) => Ok(format!("{SEALED}{}:{}", key.id(), key.close(of, &text)?)),
            None if text.starts_with(MARK) => Ok(format!("{PLAIN}{text}")),
            None => Ok(text),
        }
    }

    /// A text as it was before it was written, or why it can't be read.
    pub(super) fn open(&self, of: &str, text: String) -> Result<String, String> {
        if !text.starts_with(MARK) {
            return Ok(text);
        }
        if let Some(plain) = text.strip_prefix(PLAIN) {
            return Ok(plain.to_owned());
        }
        let sealed = text.strip_prefix(SEALED).and_then(|rest| rest.split_once(':'));
        let (id, sealed) = sealed.ok_or("it is encrypted in a way that this program does not know")?;
        if !self.seals() {
            return Err(format!("it is encrypted with key `{id}`, and there is no key: set {VARIABLE}"));
        }
        let mut keys = self.keys.iter().filter(|key| key.id() == id).peekable();
        if keys.peek().is_none() {
            let (named, known) = (self.named, self.ids().join("` and `"));
            return Err(format!(
                "it is encrypted with key `{id}`, and {named} has `{known}`: write that key, too, behind the one that \
                 encrypts from now on"
            ));
        }
        keys.find_map(|key| key.open(of, sealed)).ok_or_else(|| {
            format!("key `{id}` does not open it: it was changed, or belongs to another task, run or field")
        })
    }

    /// What a run returned, as JSON to be written.
    pub(super) fn close_value<'a>(&self, run: RunId, value: &'a Value) -> Result<Cow<'a, Value>, StoreError> {
        Ok(match value {
            _ if self.seals() => Cow::Owned(self.close(&value_of(run), value.to_string())?.into()),
            Value::String(text) if text.starts_with(MARK) => Cow::Owned(format!("{PLAIN}{value}").into()),
            _ => Cow::Borrowed(value),
        })
    }

    /// A run's error, to be written.
    pub(super) fn close_error(&self, run: RunId, error: String) -> Result<String, StoreError> {
        self.close(&error_of(run), error)
    }

    /// Opens what stands in a run's entry as it was written. What can't be opened is told in the entry's error.
    pub(super) fn open_run(&self, run: &mut RunRecord) {
        if let Some(text) = run.error.take() {
            let error = self.open(&error_of(run.id), text);
            run.error = Some(error.unwrap_or_else(|reason| format!("its error can't be read: {reason}")));
        }
        let Some(Value::String(text)) = run.value.take_if(|value| is_marked(value)) else { return };
        let opened = self.open(&value_of(run.id), text);
        match opened.and_then(|json| serde_json::from_str(&json).map_err(|error| error.to_string())) {
            Ok(value) => run.value = Some(value),
            Err(reason) => {
                let told = format!("its result can't be read: {reason}");
                run.error =
                    Some(run.error.take().map_or_else(|| told.clone(), |error| format!("{error}; {told}")));
            }
        }
    }

    fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(Key::id).collect()
    }
}

fn is_marked(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(MARK))
}

fn key_of(sealed: &str) -> Option<&str> {
    sealed.strip_prefix(SEALED)?.split(':').next()
}

fn value_of(run: RunId) -> String {
    format!("value\0{run}")
}

fn error_of(run: RunId) -> String {
    format!("error\0{run}")
}
