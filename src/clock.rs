//! The only reader of the time.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

/// How a scheduler knows the time and waits for it. [`SystemClock`] unless said; tests use `asyncz::testing::TestClock`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time.
    fn now(&self) -> DateTime<Utc>;

    /// Waits until [`now`](Clock::now) has come to `deadline`, or shorter: whoever waits reads the time again.
    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// How often a scheduler looks at what has happened and what is due, at most: what comes in between is gathered, and is
    /// so much later. Default: 3 ms, so that what happens together costs one wake-up and not one each.
    fn granularity(&self) -> Duration {
        Duration::from_millis(3)
    }

    /// Marks a stretch of work, for clocks that stand still until all work is done. Default: nobody waits for it.
    fn busy(&self) -> Busy {
        Busy::of(None)
    }
}

/// A stretch of work that a clock may wait for; it lasts until this is dropped. See [`Clock::busy`].
#[derive(Debug)]
pub struct Busy {
    activity: Option<Arc<Activity>>,
    state: AtomicU8,
}

/// A [`Busy`] that counts, that does not while it sleeps, and that never will again.
const WORKING: u8 = 0;
const ASLEEP: u8 = 1;
const OVER: u8 = 2;

impl Busy {
    fn of(activity: Option<Arc<Activity>>) -> Self {
        if let Some(activity) = &activity {
            activity.add();
        }
        Self { activity, state: AtomicU8::new(WORKING) }
    }

    /// Whether a clock waits for it.
    pub(crate) fn counts(&self) -> bool {
        self.activity.is_some()
    }

    /// Waits for a sleep; meanwhile this does not count as work.
    pub(crate) async fn asleep(&self, sleep: impl Future<Output = ()>) {
        let mut sleep = std::pin::pin!(sleep);
        // Declared last and so dropped first: the sleep counts for the sleeper until that is awake.
        let _awake = AwakeAtLast(self);
        poll_fn(|context| {
            let poll = sleep.as_mut().poll(context);
            if poll.is_pending() {
                self.fall_asleep();
            }
            poll
        })
        .await;
    }

    /// The work is over, whoever still holds this.
    pub(crate) fn end(&self) {
        if let Some(activity) = &self.activity
            && self.state.swap(OVER, Ordering::SeqCst) == WORKING
        {
            activity.take();
        }
    }

    fn fall_asleep(&self) {
        if let Some(activity) = &self.activity
            && self.state.compare_exchange(WORKING, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            activity.take();
        }
    }

    /// Counts again: whoever sleeps is sure to be woken now.
    pub(crate) fn wake_up(&self) {
        if let Some(activity) = &self.activity
            && self.state.compare_exchange(ASLEEP, WORKING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            activity.add();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}

/// Wakes a stretch of work up when its sleep has come to its end or was given up.
struct AwakeAtLast<'a>(&'a Busy);

impl Drop for AwakeAtLast<'_> {
    fn drop(&mut self) {
        self.0.wake_up();
    }
}

/// Counts the stretches of work going on.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    stretches: AtomicUsize,
    quiet: Notify,
}

impl Activity {
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only the clock of tests counts"))]
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        Busy::of(Some(self.clone()))
    }

    pub(crate) fn add(&self) {
        self.stretches.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn take(&self) {
        if self.stretches.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.quiet.notify_waiters();
        }
    }

    /// Returns when no work is going on.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only the clock of tests waits"))]
    pub(crate) async fn quiet(&self) {
        loop {
            let mut quiet = std::pin::pin!(self.quiet.notified());
            quiet.as_mut().enable();
            if self.stretches.load(Ordering::SeqCst) == 0 {
                return;
            }
            quiet.await;
        }
    }
}

/// The system's clock and timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Timers stand still while a machine is suspended, and the clock may be stepped: look at it again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let wait = (deadline - self.now()).to_std().unwrap_or_default();
        Box::pin(RealDeadline::after(wait.min(LONGEST_SLEEP)).passed())
    }
}

/// `instant` and `duration`, as far as the calendar goes.
pub(crate) fn after(instant: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| instant.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A limit in real time, whatever a scheduler's clock says: it bounds how long a process takes to exit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDeadline(Option<tokio::time::Instant>);

impl RealDeadline {
    /// So long from now; never where that is beyond the calendar.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn after(duration: Duration) -> Self {
        Self(tokio::time::Instant::now().checked_add(duration))
    }

    /// No limit.
    pub(crate) const NEVER: Self = Self(None);

    /// How long it is until then.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |instant| instant.saturating_duration_since(tokio::time::Instant::now()))
    }

    /// Returns when it has passed. It may be polled on one thread now and on another later.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) async fn passed(self) {
        let Some(instant) = self.0 else { return std::future::pending().await };
        let mut timer = None;
        poll_fn(|context| {
            if instant <= tokio::time::Instant::now() {
                return Poll::Ready(());
            }
            let Some(alarm) = ALARM.get() else {
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(instant)));
                return timer.as_mut().poll(context);
            };
            ALARM.set(Some(Some(alarm.map_or(instant, |alarm| alarm.min(instant)))));
            Poll::Pending
        })
        .await;
    }
}

thread_local! {
    /// On a thread of [`block_on`]: the earliest deadline that somebody waits for; `None` on every other thread.
    static ALARM: Cell<Option<Option<tokio::time::Instant>>> = const { Cell::new(None) };
}

/// Runs a future on this thread, which sleeps just until its next deadline. Tokio's timers would wake it three times for
/// each long sleep and a millisecond late.
///
/// Whatever the future waits for must be polled in each of its polls, as `select!` does it: a deadline that is not polled
/// is forgotten.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    /// The thread may be somebody else's, whose timers are none of ours.
    struct AsBefore(Option<Option<tokio::time::Instant>>);
    impl Drop for AsBefore {
        fn drop(&mut self) {
            ALARM.set(self.0);
        }
    }
    let _as_before = AsBefore(ALARM.get());
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        ALARM.set(Some(None));
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        match ALARM.get().flatten() {
            Some(deadline) => thread::park_timeout(deadline - tokio::time::Instant::now()),
            None => thread::park(),
        }
    }
}
