//! What reaches the driver from other threads.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::machine::Input;
use crate::clock::Busy;
use crate::task::{Report, Reports};

/// Inputs for the machine, in the order in which they came. Bounded by what causes them: a report for each run that goes
/// on, and one note for each store that has changed.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    inputs: Vec<Input>,
    /// In chunks: a herd's reports come faster than they are taken, and one long list of them would be moved again and
    /// again as it grows.
    reports: Vec<Vec<Report>>,
    changed: BTreeSet<Arc<str>>,
    /// The clock of tests stands still until these inputs are handled.
    busy: Vec<Busy>,
}

/// So many reports are handled together.
const CHUNK: usize = 128;

impl Mailbox {
    pub(super) fn post(&self, input: Input, busy: Busy) {
        self.put(|waiting| {
            waiting.inputs.push(input);
            waiting.busy.push(busy);
        });
    }

    /// Notes that tasks of a store have changed.
    pub(super) fn changed(&self, store: &Arc<str>, busy: Busy) {
        self.put(|waiting| {
            if waiting.changed.insert(store.clone()) {
                waiting.busy.push(busy);
            }
        });
    }

    /// Returns when there is something to take.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    /// All that has come, and what to drop when it is handled.
    pub(super) fn take(&self) -> (Vec<Input>, Vec<Busy>) {
        let Waiting { mut inputs, reports, changed, busy } =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        inputs.extend(reports.into_iter().map(Input::Ended));
        inputs.extend(changed.into_iter().map(Input::Changed));
        (inputs, busy)
    }

    /// The reports that have come.
    pub(super) fn take_reports(&self) -> Vec<Vec<Report>> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner).reports)
    }

    fn put(&self, put: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        put(&mut waiting);
        drop(waiting);
        // Whoever takes the first takes all.
        if is_first {
            self.came.notify_one();
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.reports.is_empty() && self.changed.is_empty()
    }
}

impl Reports for Mailbox {
    fn report(&self, report: Report, busy: Busy) {
        self.put(|waiting| {
            match waiting.reports.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => chunk.push(report),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    chunk.push(report);
                    waiting.reports.push(chunk);
                }
            }
            if busy.counts() {
                waiting.busy.push(busy);
            }
        });
    }
}
