//! What becomes of an occurrence while as many runs go on as may.

use std::collections::VecDeque;

use super::plan::{Decisions, at_max_instances};
use crate::task::{Count, Occurrence, Overlap, RunStatus, TaskRecord, Waiting};

/// The runs of a task, and those that wait for one of them to end.
#[derive(Debug)]
pub(super) struct Places {
    overlap: Overlap,
    queue_limit: usize,
    max_instances: u32,
    pub(super) running: u32,
    pub(super) waiting: VecDeque<Waiting>,
}

impl Places {
    pub(super) fn of(task: &TaskRecord) -> Self {
        let rules = &task.definition.rules;
        Self {
            overlap: rules.overlap,
            queue_limit: rules.queue_limit as usize,
            max_instances: rules.max_instances,
            running: task.schedule.running,
            waiting: task.waiting.iter().copied().collect(),
        }
    }

    /// Gives an occurrence its place: it runs, it waits, or it is skipped.
    pub(super) fn take_in(&mut self, occurrence: Occurrence, decisions: &mut Decisions<'_>) {
        let is_free = self.running < self.max_instances && self.waiting.is_empty();
        if is_free || self.overlap == Overlap::Allow {
            self.running += 1;
            decisions.make(occurrence, Count::ONE, RunStatus::Claimed, None);
            return;
        }
        match self.overlap {
            Overlap::Skip | Overlap::Allow => {
                let reason = at_max_instances(self.running, self.max_instances);
                decisions.make(occurrence, Count::ONE, RunStatus::Skipped, Some(reason));
            }
            Overlap::QueueAll if self.waiting.len() >= self.queue_limit => {
                let reason =
                    format!("{0} of its occurrences wait already, queue_limit is {0}", self.queue_limit);
                decisions.make(occurrence, Count::ONE, RunStatus::Skipped, Some(reason));
            }
            Overlap::QueueAll => self.wait(occurrence, decisions),
            Overlap::Queue | Overlap::CancelOther | Overlap::AbortOther => {
                for older in self.waiting.drain(..) {
                    let reason = "a later occurrence took its place in the queue".to_owned();
                    decisions.remake(older, RunStatus::Skipped, Some(reason));
                }
                self.wait(occurrence, decisions);
            }
        }
    }

    /// Runs those that wait as far as there is room, the oldest first.
    pub(super) fn let_in(&mut self, decisions: &mut Decisions<'_>) {
        while self.running < self.max_instances
            && let Some(first) = self.waiting.pop_front()
        {
            self.running += 1;
            decisions.remake(first, RunStatus::Claimed, None);
        }
    }

    fn wait(&mut self, occurrence: Occurrence, decisions: &mut Decisions<'_>) {
        let reason = at_max_instances(self.running, self.max_instances);
        let run = decisions.make(occurrence, Count::ONE, RunStatus::Queued, Some(reason));
        self.waiting.push_back(Waiting { run, occurrence, starts_at: None });
    }
}
