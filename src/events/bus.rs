//! From those who tell to those who listen.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::{Event, EventMask};
use crate::clock::{Busy, Clock};
use crate::executors::Threads;
use crate::panics::catching;

/// So many events wait for a listener; what comes then is lost to it, and counted.
const QUEUE: usize = 1024;

/// Names a listener, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// Hands each event to those who want its kind.
#[derive(Debug)]
pub(crate) struct Bus {
    wanted: AtomicU32,
    next_id: AtomicU64,
    listeners: RwLock<Vec<Arc<Queue>>>,
    threads: Threads,
}

struct Queue {
    id: ListenerId,
    mask: EventMask,
    waiting: Mutex<Waiting>,
    reader: Reader,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    lost: u64,
    /// A thread is on its way to the listener; or the stream's waker.
    told: bool,
    waker: Option<Waker>,
    closed: bool,
}

enum Reader {
    /// A function, called on threads of our own, one event at a time.
    Function(Box<dyn Fn(&Event) + Send + Sync>),
    Stream,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self {
            wanted: AtomicU32::new(0),
            next_id: AtomicU64::new(1),
            listeners: RwLock::default(),
            threads: Threads::elastic("asyncz-listener"),
        }
    }

    /// The kinds of events that somebody wants.
    pub(crate) fn wanted(&self) -> EventMask {
        EventMask::from_bits_truncate(self.wanted.load(Ordering::Relaxed))
    }

    /// Whether somebody wants events of these kinds: making one can be left out otherwise.
    pub(crate) fn wants(&self, kinds: EventMask) -> bool {
        self.wanted().intersects(kinds)
    }

    /// Tells an event, and waits for nobody. The clock of tests waits until functions have heard it.
    pub(crate) fn emit(&self, event: &Event, clock: &dyn Clock) {
        if !self.wants(event.kind) {
            return;
        }
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for queue in listeners.iter().filter(|queue| queue.mask.intersects(event.kind)) {
            queue.push(event);
            queue.clone().tell(&self.threads, || clock.busy());
        }
    }

    pub(crate) fn add_listener(
        &self,
        mask: EventMask,
        listener: Box<dyn Fn(&Event) + Send + Sync>,
    ) -> ListenerId {
        self.add(mask, Reader::Function(listener)).id
    }

    pub(crate) fn remove_listener(&self, id: ListenerId) -> bool {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        let before = listeners.len();
        listeners.retain(|queue| queue.id != id);
        self.note_wishes(&listeners);
        listeners.len() < before
    }

    pub(crate) fn stream(self: &Arc<Self>) -> EventStream {
        EventStream { queue: self.add(EventMask::all(), Reader::Stream), bus: Arc::downgrade(self) }
    }

    /// Ends all streams: those who read them hear what waits and then the end.
    pub(crate) fn close_streams(&self) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        for queue in listeners.extract_if(.., |queue| matches!(queue.reader, Reader::Stream)) {
            let mut waiting = queue.waiting();
            waiting.closed = true;
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
        self.note_wishes(&listeners);
    }

    fn add(&self, mask: EventMask, reader: Reader) -> Arc<Queue> {
        let id = ListenerId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let queue = Arc::new(Queue { id, mask, waiting: Mutex::default(), reader });
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.push(queue.clone());
        self.note_wishes(&listeners);
        queue
    }

    fn note_wishes(&self, listeners: &[Arc<Queue>]) {
        let wanted = listeners.iter().fold(EventMask::empty(), |wanted, queue| wanted | queue.mask);
        self.wanted.store(wanted.bits(), Ordering::Relaxed);
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: &Event) {
        let mut waiting = self.waiting();
        if waiting.events.len() >= QUEUE {
            waiting.lost += 1;
            return;
        }
        if waiting.lost > 0 {
            let lost = Event { count: waiting.lost, ..Event::new(EventMask::EVENTS_LOST, event.at) };
            waiting.events.push_back(lost);
            waiting.lost = 0;
        }
        waiting.events.push_back(event.clone());
    }

    /// Sees to it that the reader comes for what waits.
    fn tell(self: Arc<Self>, threads: &Threads, busy: impl FnOnce() -> Busy) {
        let mut waiting = self.waiting();
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
        if waiting.told || matches!(self.reader, Reader::Stream) {
            return;
        }
        waiting.told = true;
        drop(waiting);
        let busy = busy();
        threads.run(Box::new(move || {
            self.call_function();
            drop(busy);
        }));
    }

    /// Calls the function with all that waits. One that panics hears the next event all the same.
    fn call_function(&self) {
        let Reader::Function(function) = &self.reader else { return };
        loop {
            let event = {
                let mut waiting = self.waiting();
                let event = waiting.events.pop_front();
                waiting.told = event.is_some();
                event
            };
            let Some(event) = event else { return };
            if let Err(panic) = catching(|| function(&event)) {
                tracing::error!(target: "asyncz.events", kind = ?event.kind, "a listener {panic}");
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("id", &self.id).field("mask", &self.mask).finish_non_exhaustive()
    }
}

/// Events as they happen, from [`Scheduler::events`](crate::Scheduler::events); it ends when the scheduler stops.
///
/// 1,024 events wait for a reader that lags; then an `EVENTS_LOST` says how many it has missed.
#[derive(Debug)]
pub struct EventStream {
    queue: Arc<Queue>,
    bus: Weak<Bus>,
}

impl EventStream {
    /// The next event; `None` after the scheduler's end.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = self.queue.waiting();
        match waiting.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if waiting.closed => Poll::Ready(None),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some(bus) = self.bus.upgrade() {
            bus.remove_listener(self.queue.id);
        }
    }
}
