//! A clock that tests move.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::{Activity, Busy, Clock, after};

/// A clock that stands still until it is [advanced](Self::advance), so that a test of a year takes seconds and never
/// sleeps.
///
/// Give a clone to [`AsynczConfig::clock`](crate::AsynczConfig::clock) and move the other. Wall time and waiting move
/// together.
///
/// ```
/// use std::time::Duration;
/// use asyncz::testing::TestClock;
/// use asyncz::{AsynczConfig, RunFilter, Task};
///
/// async fn collect() {}
///
/// # #[tokio::main] async fn main() -> Result<(), asyncz::Error> {
/// let clock = TestClock::at("2026-03-29T00:30:00Z");
/// let config = AsynczConfig::new().clock(clock.clone()).without_registry();
/// let scheduler = config.task(Task::from_fn("collect", collect).every(Duration::from_secs(3600))).scheduler();
/// scheduler.start().await?;
/// clock.advance(Duration::from_secs(24 * 3600)).await;
/// assert_eq!(scheduler.runs(RunFilter::new()).await?.len(), 24);
/// scheduler.stop().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    time: Mutex<Time>,
    activity: Arc<Activity>,
}

#[derive(Debug)]
struct Time {
    now: DateTime<Utc>,
    next_sleeper: u64,
    sleepers: BTreeMap<(DateTime<Utc>, u64), Waker>,
}

impl TestClock {
    /// A clock that stands at `instant`, in RFC 3339.
    ///
    /// # Panics
    /// Where `instant` is no time in RFC 3339: a test that is written wrong.
    #[track_caller]
    pub fn at(instant: &str) -> Self {
        match DateTime::parse_from_rfc3339(instant) {
            Ok(instant) => Self::at_instant(instant.to_utc()),
            Err(error) => panic!("TestClock::at(\"{instant}\"): {error}; write it as 2026-03-29T00:30:00Z"),
        }
    }

    /// A clock that stands at `instant`.
    pub fn at_instant(instant: DateTime<Utc>) -> Self {
        let time = Time { now: instant, next_sleeper: 0, sleepers: BTreeMap::new() };
        Self(Arc::new(Inner { time: Mutex::new(time), activity: Arc::default() }))
    }

    /// Moves on by `duration`; see [`advance_to`](Self::advance_to).
    pub async fn advance(&self, duration: Duration) {
        self.advance_to(after(self.now(), duration)).await;
    }

    /// Moves on to `instant`, stopping at each moment for which somebody waits. Returns when all that fell due on the way
    /// has been decided, and every run that it started has ended or waits in [`TaskContext::sleep`]. A handler that waits
    /// for anything else in the world is waited for.
    ///
    /// Call it from the test, not from a handler: that would wait for itself.
    ///
    /// [`TaskContext::sleep`]: crate::TaskContext::sleep
    pub async fn advance_to(&self, instant: DateTime<Utc>) {
        loop {
            self.0.activity.quiet().await;
            let mut time = self.0.time();
            let Some(((deadline, _), _)) = time.sleepers.first_key_value() else {
                break time.move_to(instant);
            };
            if *deadline > instant {
                break time.move_to(instant);
            }
            let deadline = *deadline;
            time.move_to(deadline);
            let asleep = time.sleepers.split_off(&(deadline, u64::MAX));
            for waker in std::mem::replace(&mut time.sleepers, asleep).into_values() {
                self.0.activity.add();
                waker.wake();
            }
        }
    }

    /// Returns when all that is due now has been decided and run, as [`advance_to`](Self::advance_to) does; the time
    /// stays.
    pub async fn settle(&self) {
        self.advance_to(self.now()).await;
    }
}

impl Inner {
    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Time {
    fn move_to(&mut self, instant: DateTime<Utc>) {
        self.now = self.now.max(instant);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.time().now
    }

    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Sleep { clock: self.0.clone(), deadline, state: SleepState::New })
    }

    /// Zero: this clock stands still until all that has happened is handled.
    fn granularity(&self) -> Duration {
        Duration::ZERO
    }

    fn busy(&self) -> Busy {
        self.0.activity.busy()
    }
}

/// Somebody's sleep. From the moment its time has come until it is dropped it counts as work, on behalf of the sleeper,
/// who does not know yet.
struct Sleep {
    clock: Arc<Inner>,
    deadline: DateTime<Utc>,
    state: SleepState,
}

#[derive(Clone, Copy)]
enum SleepState {
    New,
    /// Among the sleepers, with this number.
    Asleep(u64),
    Over,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut time = clock.time();
        match self.state {
            SleepState::New if self.deadline > time.now => {
                let place = time.next_sleeper;
                time.next_sleeper += 1;
                time.sleepers.insert((self.deadline, place), context.waker().clone());
                self.state = SleepState::Asleep(place);
                Poll::Pending
            }
            SleepState::Asleep(place) => match time.sleepers.get_mut(&(self.deadline, place)) {
                Some(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
            SleepState::New | SleepState::Over => {
                self.state = SleepState::Over;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let SleepState::Asleep(place) = self.state else { return };
        let was_woken = self.clock.time().sleepers.remove(&(self.deadline, place)).is_none();
        if was_woken {
            self.clock.activity.take();
        }
    }
}
