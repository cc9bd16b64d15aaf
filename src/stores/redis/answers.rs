//! What scripts answer, as Rust has it.

use redis::Value;

use crate::stores::StoreError;

/// An answer, item by item.
#[derive(Debug)]
pub(super) struct Answer(std::vec::IntoIter<Value>);

/// What a script answers that no script of ours does.
fn unexpected(value: &Value) -> StoreError {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    StoreError::new(format!("Redis answers with {kind} where something else should stand"))
}

/// A text.
pub(super) fn text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            // Nothing that we have written.
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        Value::SimpleString(text) => Ok(text),
        other => Err(unexpected(&other)),
    }
}

/// A number from 0 up.
pub(super) fn number(value: Value) -> Result<usize, StoreError> {
    match value {
        Value::Int(number) => Ok(usize::try_from(number).unwrap_or_default()),
        other => Err(unexpected(&other)),
    }
}

impl Answer {
    /// An answer that is a list.
    pub(super) fn new(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(items) => Ok(Self(items.into_iter())),
            other => Err(unexpected(&other)),
        }
    }

    /// How many items there still are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn item(&mut self) -> Value {
        self.0.next().unwrap_or_default()
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        text(self.item())
    }

    /// `None`: nothing stands there.
    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.item() {
            Value::Nil => Ok(None),
            item => text(item).map(Some),
        }
    }

    pub(super) fn number(&mut self) -> Result<usize, StoreError> {
        number(self.item())
    }

    pub(super) fn list(&mut self) -> Result<Self, StoreError> {
        Self::new(self.item())
    }

    /// All that follows is texts.
    pub(super) fn texts(self) -> Result<Vec<String>, StoreError> {
        self.0.map(text).collect()
    }
}
