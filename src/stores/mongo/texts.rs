//! What people have written or returned, as text in the database: definitions, what waits, results and errors. All of it goes
//! in and comes out here.

use std::sync::Arc;

use crate::stores::{StoreError, envelope};
use crate::task::TaskDefinition;

/// A text as it is stored.
pub(super) fn stored(text: String) -> String {
    text
}

/// What a stored text says, or why it can't be read.
pub(super) fn read(stored: &str) -> Result<String, String> {
    Ok(stored.to_owned())
}

/// A definition as it is stored.
pub(super) fn envelope(definition: &TaskDefinition) -> Result<String, StoreError> {
    envelope::write(definition).map(stored)
}

/// What a stored definition says, or why it can't be read.
pub(super) fn definition(stored: &str) -> Result<Arc<TaskDefinition>, String> {
    envelope::read(&read(stored)?)
}
