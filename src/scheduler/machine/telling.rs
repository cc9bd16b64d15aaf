//! What listeners are told.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Machine;
use super::action::Action;
use crate::events::{Event, EventMask};
use crate::stores::{Finish, StoreError, Unreadable};
use crate::task::{Count, Occurrence, RunId, RunStatus, TaskDefinition};

impl Machine {
    /// A run has ended that was taken over meanwhile: how it ended counts nowhere.
    pub(super) fn tell_refused(&mut self, store: &Arc<str>, finish: &Finish, now: DateTime<Utc>) {
        let Finish { definition, run, occurrence, .. } = finish;
        self.counts.note(RunStatus::Lost, Count::ONE);
        self.tell(store, definition, *run, occurrence, RunStatus::Lost, now, |event| {
            event.error = Some("it was taken over by another scheduler, as its lease had lapsed".to_owned());
        });
    }

    pub(super) fn tell_end(&mut self, store: &Arc<str>, finish: &Finish, now: DateTime<Utc>) {
        let Finish { definition, run, occurrence, end, .. } = finish;
        self.counts.note(end.status, Count::ONE);
        self.tell(store, definition, *run, occurrence, end.status, now, |event| {
            event.value.clone_from(&end.value);
            event.error.clone_from(&end.error);
        });
    }

    /// Tells what became of an occurrence, where somebody hears it.
    #[expect(clippy::too_many_arguments, reason = "they are what an event tells")]
    pub(super) fn tell(
        &mut self,
        store: &Arc<str>,
        definition: &TaskDefinition,
        run: RunId,
        occurrence: &Occurrence,
        status: RunStatus,
        now: DateTime<Utc>,
        say: impl FnOnce(&mut Event),
    ) {
        let kind = match status {
            RunStatus::Queued | RunStatus::Running => return,
            RunStatus::Claimed => EventMask::TASK_SUBMITTED,
            RunStatus::Succeeded => EventMask::TASK_EXECUTED,
            RunStatus::Failed => EventMask::TASK_ERROR,
            RunStatus::Missed => EventMask::TASK_MISSED,
            RunStatus::Skipped => EventMask::TASK_MAX_INSTANCES,
            RunStatus::Coalesced => EventMask::TASK_COALESCED,
            RunStatus::Cancelled => EventMask::TASK_CANCELLED,
            RunStatus::Lost => EventMask::TASK_LOST,
        };
        if self.heard.contains(kind) {
            let mut event = Event::new(kind, now).alias(store).task(&definition.id).run(run, occurrence.due);
            say(&mut event);
            self.emit(event);
        }
    }

    pub(super) fn store_failed(&mut self, store: &Arc<str>, error: &StoreError, now: DateTime<Utc>) {
        let error = crate::task::in_words(error);
        self.emit(Event::new(EventMask::STORE_ERROR, now).alias(store).error(error));
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.actions.push_back(Action::Emit(event));
    }

    /// Records that can't be read are told.
    pub(super) fn tell_unreadable(
        &mut self,
        store: &Arc<str>,
        unreadable: Vec<Unreadable>,
        now: DateTime<Utc>,
    ) {
        for record in unreadable {
            let error = format!("the task is kept but not run: its record can't be read: {}", record.reason);
            let event = Event::new(EventMask::STORE_ERROR, now).alias(store).task(&record.id);
            self.emit(event.error(error));
        }
    }
}
