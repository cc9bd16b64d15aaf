//! What reaches the driver from other threads.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::machine::Input;
use crate::clock::Busy;
use crate::task::{Report, Reports};

/// Inputs for the machine, in the order in which they came, but for reports, which come last. Bounded by what causes them:
/// a report for each run that goes on, and one note for each store that has changed.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    /// Each thread has one of its own as a rule: where all reported into one, they would wait for each other at each run.
    boxes: [ReportBox; BOXES],
    /// Something has come since all was taken, and the driver knows.
    has_come: AtomicBool,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    inputs: Vec<Input>,
    changed: BTreeSet<Arc<str>>,
    /// The clock of tests stands still until these inputs are handled.
    busy: Vec<Busy>,
}

/// The reports of some threads, away from the others' in memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ReportBox(Mutex<Reported>);

#[derive(Debug, Default)]
struct Reported {
    /// In chunks: a herd's reports come faster than they are taken, and one long list of them would be moved again and
    /// again as it grows.
    chunks: Vec<Vec<Report>>,
    busy: Vec<Busy>,
}

/// So many reports are handled together.
const CHUNK: usize = 128;
const BOXES: usize = 8;

thread_local! {
    /// Which box this thread reports into.
    static OWN_BOX: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % BOXES
    };
}

impl Mailbox {
    pub(super) fn post(&self, input: Input, busy: Busy) {
        let mut waiting = self.waiting();
        waiting.inputs.push(input);
        waiting.busy.push(busy);
        drop(waiting);
        self.tell();
    }

    /// Notes that tasks of a store have changed.
    pub(super) fn changed(&self, store: &Arc<str>, busy: Busy) {
        let mut waiting = self.waiting();
        if waiting.changed.insert(store.clone()) {
            waiting.busy.push(busy);
        }
        drop(waiting);
        self.tell();
    }

    /// Returns when there is something to take.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    /// All that has come, and what to drop when it is handled.
    pub(super) fn take(&self) -> (Vec<Input>, Vec<Busy>) {
        // First, so that what comes while this takes is told again, were it a time too many.
        self.has_come.store(false, Ordering::SeqCst);
        let Waiting { mut inputs, changed, mut busy } = std::mem::take(&mut *self.waiting());
        for reported in self.boxes.iter().filter_map(ReportBox::take) {
            inputs.extend(reported.chunks.into_iter().map(Input::Ended));
            busy.extend(reported.busy);
        }
        inputs.extend(changed.into_iter().map(Input::Changed));
        (inputs, busy)
    }

    /// The reports that have come.
    pub(super) fn take_reports(&self) -> Vec<Vec<Report>> {
        self.boxes.iter().flat_map(|one| std::mem::take(&mut one.reported().chunks)).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the driver that something has come, unless it knows.
    fn tell(&self) {
        if !self.has_come.load(Ordering::SeqCst) && !self.has_come.swap(true, Ordering::SeqCst) {
            self.came.notify_one();
        }
    }
}

impl ReportBox {
    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Reported> {
        let mut reported = self.reported();
        let is_empty = reported.chunks.is_empty() && reported.busy.is_empty();
        (!is_empty).then(|| std::mem::take(&mut *reported))
    }
}

impl Reports for Mailbox {
    fn report(&self, report: Report, busy: Busy) {
        // A thread that ends reports anywhere.
        let own = OWN_BOX.try_with(|own| *own).unwrap_or(0);
        let mut reported = self.boxes[own].reported();
        match reported.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(report),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(report);
                reported.chunks.push(chunk);
            }
        }
        if busy.counts() {
            reported.busy.push(busy);
        }
        drop(reported);
        self.tell();
    }
}
