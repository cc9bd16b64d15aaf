//! A task's definition as stores keep it: one JSON object that people can read, and that says which version of the form it
//! has. Where the store has a key, what is secret of it is one sealed text.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoreError;
use super::crypt::Seal;
use crate::task::{TaskDefinition, TaskId};

/// The form that is written. Older ones stay readable: a later form adds its reading to [`read`].
const VERSION: u64 = 1;

/// Where the secret fields stand, once they are sealed.
const SEALED: &str = "sealed";
/// What a task does and when. A digest of the trigger would let it be guessed.
const SECRET: [&str; 3] = ["trigger", "trigger_digest", "args"];

#[derive(Serialize)]
struct Envelope<'a> {
    v: u64,
    #[serde(flatten)]
    definition: &'a TaskDefinition,
}

/// What every version of the form says first.
#[derive(Deserialize)]
struct Form {
    v: u64,
    sealed: Option<String>,
}

/// The definition in its envelope.
pub(super) fn write(definition: &TaskDefinition, seal: &Seal) -> Result<String, StoreError> {
    let envelope = Envelope { v: VERSION, definition };
    let no_json = |error| {
        StoreError::new(format!("task `{}` can't be written as JSON", definition.id)).with_source(error)
    };
    if !seal.seals() {
        return serde_json::to_string(&envelope).map_err(no_json);
    }
    let mut fields = match serde_json::to_value(&envelope).map_err(no_json)? {
        Value::Object(fields) => fields,
        other => return Ok(other.to_string()),
    };
    let secret = SECRET.iter().filter_map(|name| Some(((*name).to_owned(), fields.remove(*name)?)));
    let secret = Value::Object(secret.collect()).to_string();
    let sealed = seal.close(&owner(&definition.handler, &definition.id), secret)?;
    fields.insert(SEALED.to_owned(), sealed.into());
    Ok(Value::Object(fields).to_string())
}

/// The definition in the envelope of the task of this id, or why it can't be read.
pub(super) fn read(envelope: &str, id: &TaskId, seal: &Seal) -> Result<Arc<TaskDefinition>, String> {
    let form: Form = serde_json::from_str(envelope).map_err(|error| format!("no envelope: {error}"))?;
    if form.v != VERSION {
        return Err(format!(
            "its envelope has version {}, and this program reads version {VERSION}: a newer program wrote it",
            form.v
        ));
    }
    let told = |error: serde_json::Error| error.to_string();
    let definition: TaskDefinition = match form.sealed {
        None => serde_json::from_str(envelope).map_err(told)?,
        Some(sealed) => {
            let mut fields: Map<String, Value> = serde_json::from_str(envelope).map_err(told)?;
            let handler = fields.get("handler").and_then(Value::as_str).unwrap_or_default();
            let secret = seal.open(&owner(handler, id), sealed)?;
            fields.extend(serde_json::from_str::<Map<String, Value>>(&secret).map_err(told)?);
            serde_json::from_value(Value::Object(fields)).map_err(told)?
        }
    };
    if definition.id != *id {
        return Err(format!("its envelope is that of task `{}`", definition.id));
    }
    Ok(Arc::new(definition))
}

/// Whom a sealed text belongs to: what one handler is told is not for another.
fn owner(handler: &str, id: &TaskId) -> String {
    format!("definition\0{handler}\0{id}")
}
