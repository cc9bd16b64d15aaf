//! The runs that go on.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::task::{Occurrence, RunId, StoreKey, TaskDefinition, Ticket};

/// Claimed runs that have not ended, each at a place of its own, which its ticket names.
#[derive(Debug, Default)]
pub(super) struct RunningRuns {
    places: Vec<Option<Running>>,
    free: Vec<Ticket>,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) store: Arc<str>,
    pub(super) key: StoreKey,
    pub(super) definition: Arc<TaskDefinition>,
    pub(super) run: RunId,
    pub(super) occurrence: Occurrence,
    /// A retry that starts no earlier than then, by the store's clock.
    pub(super) starts_at: Option<DateTime<Utc>>,
}

impl IntoIterator for RunningRuns {
    type Item = Running;
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Option<Running>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.places.into_iter().flatten()
    }
}

impl RunningRuns {
    pub(super) fn insert(&mut self, running: Running) -> Ticket {
        match self.free.pop() {
            Some(ticket) => {
                self.places[ticket.index()] = Some(running);
                ticket
            }
            None => {
                self.places.push(Some(running));
                Ticket::new(self.places.len() - 1)
            }
        }
    }

    /// Takes out the run of this ticket; `None` where that is over and another has its place.
    pub(super) fn remove(&mut self, ticket: Ticket, run: RunId) -> Option<Running> {
        let place = self.places.get_mut(ticket.index())?;
        let running = place.take_if(|running| running.run == run)?;
        self.free.push(ticket);
        Some(running)
    }

    pub(super) fn contains(&self, ticket: Ticket, run: RunId) -> bool {
        self.get(ticket).is_some_and(|running| running.run == run)
    }

    /// Whether the run of this ticket is one of a task of this store.
    pub(super) fn is_of_store(&self, ticket: Ticket, store: &Arc<str>) -> bool {
        self.get(ticket).is_some_and(|running| running.store == *store)
    }

    /// The store of the task of the run of this ticket.
    pub(super) fn store_of(&self, ticket: Ticket) -> Option<&Arc<str>> {
        self.get(ticket).map(|running| &running.store)
    }

    fn get(&self, ticket: Ticket) -> Option<&Running> {
        self.places.get(ticket.index())?.as_ref()
    }

    /// The ticket of a run, looked for among all.
    pub(super) fn find(&self, run: RunId) -> Option<Ticket> {
        self.iter().find(|(_, running)| running.run == run).map(|(ticket, _)| ticket)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ticket, &Running)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(at, place)| Some((Ticket::new(at), place.as_ref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
