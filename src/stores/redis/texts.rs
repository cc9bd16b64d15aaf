//! What stands of a task's definition and of a run's result at the server: the one place where these texts are made and read.

use std::sync::Arc;

use serde_json::Value;

use crate::stores::{StoreError, envelope};
use crate::task::TaskDefinition;

/// A definition as it is written.
pub(super) fn close_definition(definition: &TaskDefinition) -> Result<String, StoreError> {
    envelope::write(definition)
}

/// The definition, or why it can't be read.
pub(super) fn open_definition(envelope: &str) -> Result<Arc<TaskDefinition>, String> {
    envelope::read(envelope)
}

/// What a run has returned, as it is written.
pub(super) fn close_value(value: &Value) -> String {
    value.to_string()
}

/// What a run has returned, or why it can't be read.
pub(super) fn open_value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("its result can't be read: {error}"))
}

/// What went wrong with a run, or why it does not run, as it is written.
pub(super) fn close_error(error: &str) -> String {
    error.to_owned()
}

/// What went wrong with a run, or why it does not run.
pub(super) fn open_error(text: &str) -> String {
    text.to_owned()
}
