//! Edits that a database makes together.

use std::collections::HashSet;

use super::Edit;
use crate::task::TaskId;

/// What a group of edits does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    Insert,
    Replace,
    Delete,
}

pub(super) fn kin(edit: &Edit) -> (Kin, &TaskId) {
    match edit {
        Edit::Insert(task) => (Kin::Insert, task.id()),
        Edit::Replace(task) => (Kin::Replace, task.id()),
        Edit::Delete(id) => (Kin::Delete, id),
    }
}

/// The edits in groups of one kind in which no id comes twice, so that one statement does each as if they came one by one.
pub(super) fn groups(edits: &[Edit]) -> Vec<&[Edit]> {
    let (mut groups, mut first, mut ids) = (Vec::new(), 0, HashSet::new());
    for (at, edit) in edits.iter().enumerate() {
        let (kind, id) = kin(edit);
        if at > first && (kin(&edits[first]).0 != kind || ids.contains(id)) {
            groups.push(&edits[first..at]);
            first = at;
            ids.clear();
        }
        ids.insert(id);
    }
    groups.push(&edits[first..]);
    groups
}
