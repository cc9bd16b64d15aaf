//! Listeners of a scheduler's events.

use futures_core::Stream;

use super::Scheduler;
use crate::events::{Event, EventMask, ListenerId};

impl Scheduler {
    /// Calls `listener` with each event of these kinds, on a thread of its own and one at a time.
    ///
    /// It is told after the fact and never waited for: 1,024 events wait for one that lags, then it is told with
    /// [`EventMask::EVENTS_LOST`] how many it has missed. One that panics hears the next event all the same.
    ///
    /// ```
    /// use asyncz::{AsynczConfig, EventMask};
    ///
    /// let scheduler = AsynczConfig::new().scheduler();
    /// let id = scheduler.add_listener(EventMask::TASK_ERROR | EventMask::TASK_MISSED, |event| {
    ///     eprintln!("{:?}: {:?}", event.task_id, event.error);
    /// });
    /// assert!(scheduler.remove_listener(id));
    /// ```
    pub fn add_listener(
        &self,
        kinds: EventMask,
        listener: impl Fn(&Event) + Send + Sync + 'static,
    ) -> ListenerId {
        // Whoever misses events is told, whatever it listens for.
        self.shared.bus.add_listener(kinds | EventMask::EVENTS_LOST, Box::new(listener))
    }

    /// Removes a listener; answers whether it was there.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.shared.bus.remove_listener(id)
    }

    /// All events from now on, until the scheduler stops.
    ///
    /// 1,024 of them wait for a reader that lags; what comes then is lost to it, and counted in an
    /// [`EventMask::EVENTS_LOST`].
    pub fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        self.shared.bus.stream()
    }
}
