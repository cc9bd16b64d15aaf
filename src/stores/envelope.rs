//! A task's definition as stores keep it: one JSON object that people can read, and that says which version of the form it
//! has.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::task::TaskDefinition;

/// The form that is written. Older ones stay readable: a later form adds its reading to [`read`].
const VERSION: u64 = 1;

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
}

/// The definition in its envelope.
pub(super) fn write(definition: &TaskDefinition) -> Result<String, StoreError> {
    serde_json::to_string(&Envelope { v: VERSION, definition }).map_err(|error| {
        StoreError::new(format!("task `{}` can't be written as JSON", definition.id)).with_source(error)
    })
}

/// The definition in an envelope, or why it can't be read.
pub(super) fn read(envelope: &str) -> Result<Arc<TaskDefinition>, String> {
    let form: Form = serde_json::from_str(envelope).map_err(|error| format!("no envelope: {error}"))?;
    if form.v != VERSION {
        return Err(format!(
            "its envelope has version {}, and this program reads version {VERSION}: a newer program wrote it",
            form.v
        ));
    }
    serde_json::from_str(envelope).map(Arc::new).map_err(|error| error.to_string())
}
