//! A scheduler's life: counted starts and shutdowns, and the thread between them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::driver::Driver;
use super::info::Session;
use super::machine::{Input, Machine};
use super::runtime::Runtimes;
use super::shared::Shared;
use super::shutdown::{self, Ending};
use super::{Scheduler, State, startup};
use crate::Error;
use crate::clock::{after, block_on};
use crate::events::{Event, EventMask};
use crate::task::{Reports, Surroundings};

/// How many starts there were, and the way to the thread.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Held while one start or shutdown goes on: the others wait.
    turn: tokio::sync::Mutex<usize>,
    /// Held by the thread as long as it lives.
    thread: Arc<tokio::sync::Mutex<()>>,
    ending: Mutex<Option<watch::Sender<Ending>>>,
}

/// How [`Scheduler::shutdown`] treats runs that are going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Waits until they have ended, however long that takes.
    Wait,
    /// Waits at most so long; then they are told to stop, and aborted 2 s later.
    Within(Duration),
    /// They are told to stop at once, and aborted 2 s later.
    Now,
}

impl Shared {
    /// Starts, unless started; counted.
    pub(super) async fn start(self: &Arc<Self>, paused: bool) -> Result<(), Error> {
        let mut starts = self.life.turn.lock().await;
        if *starts == 0 {
            self.launch(paused).await?.accept();
        }
        *starts += 1;
        Ok(())
    }

    /// Ends the life that the first start began, at the last shutdown; counted.
    pub(super) async fn shutdown(&self, how: Shutdown) {
        self.life.hurry_if_ending(how);
        let mut starts = self.life.turn.lock().await;
        match *starts {
            0 => return,
            1 => *starts = 0,
            _ => {
                *starts -= 1;
                return;
            }
        }
        self.life.send(Ending::from(how));
        // The thread ends by itself, whether somebody waits for it or not.
        drop(self.life.thread.lock().await);
    }

    /// Shuts down on a thread of its own: nobody waits for it, and there may be no runtime.
    pub(super) fn shutdown_unheard(self: &Arc<Self>, how: Shutdown) {
        let shared = self.clone();
        let thread = std::thread::Builder::new().name("asyncz-shutdown".to_owned());
        if let Err(error) = thread.spawn(move || block_on(shared.shutdown(how))) {
            tracing::error!(target: "asyncz.scheduler", %error, "no thread for the shutdown to be had");
        }
    }

    /// Whether the next shutdown acts: only then may what leads up to it.
    async fn is_outermost(&self) -> bool {
        *self.life.turn.lock().await == 1
    }

    /// No occurrence is claimed from here on, until the next start.
    pub(super) async fn stop_claiming(&self) {
        if !self.is_outermost().await {
            return;
        }
        self.bus.close_streams();
        self.life.send(Ending::ClaimNothing);
        let mut progress = self.progress.subscribe();
        let done = progress.wait_for(|progress| !progress.deciding || self.state() == State::Stopped);
        // The sender lives in `self`.
        drop(done.await);
    }

    /// Returns when no run is going on and all ends are written.
    pub(super) async fn drained(&self) {
        if !self.is_outermost().await {
            return;
        }
        let mut progress = self.progress.subscribe();
        let done = progress.wait_for(|progress| progress.quiet || self.state() == State::Stopped);
        drop(done.await);
    }

    /// Runs are told to stop, and are aborted 2 s later; returns when that has come to its end.
    pub(super) async fn cancel_runs(&self) {
        if !self.is_outermost().await {
            return;
        }
        self.life.send(Ending::Now);
        drop(self.life.thread.lock().await);
    }

    /// Starts the thread and waits until it is ready. Dropping the future stops what was started.
    async fn launch(self: &Arc<Self>, paused: bool) -> Result<Acceptance, Error> {
        #[cfg(feature = "process")]
        if crate::executors::is_worker() {
            return Err(Error::ImproperlyConfigured(IN_A_WORKER.to_owned()));
        }
        let alone = self.life.thread.clone().lock_owned().await;
        let run_on = self.setup().run_on.clone();
        let runtimes = run_on.runtimes()?;
        let (ending, ending_heard) = watch::channel(Ending::No);
        let (ready, is_ready) = oneshot::channel();
        let shared = self.clone();
        let live = move || {
            let _alone = alone;
            let runtimes = runtimes;
            // Stores find the application's runtime here, as their callers do.
            let _entered = runtimes.stores.enter();
            block_on(live(shared, &runtimes, paused, ready, ending_heard));
        };
        std::thread::Builder::new()
            .name("asyncz-scheduler".to_owned())
            .spawn(live)
            .map_err(Error::NoThread)?;
        *self.life.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
        is_ready
            .await
            .unwrap_or_else(|_| Err(Error::ImproperlyConfigured("the scheduler's thread panicked".into())))
    }
}

#[cfg(feature = "process")]
const IN_A_WORKER: &str = "this process is a worker of a `ProcessPoolExecutor` and starts no scheduler: `main` must begin \
                           with `if let Some(worker) = asyncz::Worker::from_env() { return worker.run(config()).await; }`";

impl Life {
    fn send(&self, ending: Ending) {
        let sender = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender {
            sender.send_if_modified(|now| {
                let harder = ending > *now;
                if harder {
                    *now = ending;
                }
                harder
            });
        }
    }

    /// A shutdown that waits is made shorter by one that does not.
    fn hurry_if_ending(&self, how: Shutdown) {
        let sender = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ending = sender.as_ref().is_some_and(|sender| *sender.borrow() > Ending::ClaimNothing);
        drop(sender);
        if is_ending {
            self.send(Ending::from(how));
        }
    }
}

/// A start that has come to its end. Whoever waited for it accepts it; dropped instead, with the future that waited, it
/// ends what was started.
struct Acceptance(oneshot::Sender<()>);

impl Acceptance {
    fn accept(self) {
        // The thread waits for just this.
        _ = self.0.send(());
    }
}

/// The thread's whole life.
async fn live(
    shared: Arc<Shared>,
    runtimes: &Runtimes,
    paused: bool,
    ready: oneshot::Sender<Result<Acceptance, Error>>,
    mut ending: watch::Receiver<Ending>,
) {
    let alone = shared.parts.lock().await;
    let boot = shared.name_start();
    let started = match shared.lock_stores() {
        Ok(locked) => startup::start_in_time(&shared, &runtimes.handlers).await.map(|it| (it, locked)),
        Err(error) => Err(error),
    };
    let (started, _locked) = match started {
        Ok(started) => started,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let (provided, clock, machine, delay) = {
        let setup = shared.setup();
        let machine = Machine::new(boot, setup.store_retry_interval, setup.retention);
        (setup.provided.clone(), setup.clock.clone(), machine, setup.startup_delay())
    };
    let scheduler = Scheduler::of(shared.clone());
    let reports: Weak<dyn Reports> = Arc::downgrade(&shared.mailbox) as _;
    let surroundings = Surroundings {
        provided: Arc::new(provided),
        node: shared.node_id(),
        scheduler,
        clock: clock.clone(),
        reports,
    };
    let mut driver = Driver::new(machine, shared.clone(), surroundings, runtimes.stores.clone());
    for event in started.events {
        driver.emit(&event);
    }
    for store in started.stores {
        let Some(open) = shared.store(&store) else { continue };
        let terms = shared.terms(&store, &*open);
        driver.hear(Input::StoreAdded(store, terms));
    }
    #[cfg(feature = "axum")]
    let _entry = super::running::AmongTheRunning::enter(&shared);
    let Runtimes { handlers, stores, .. } = runtimes;
    let session = Session { since: clock.now(), handlers: handlers.clone(), stores: stores.clone() };
    shared.health.clear();
    shared.set_session(Some(session));
    shared.set_state(if paused { State::Paused } else { State::Running });
    driver.emit(&Event::new(EventMask::SCHEDULER_START, clock.now()));
    if !paused {
        driver.hear(Input::BeginAt(after(clock.now(), delay)));
    }
    driver.act();
    drop(alone);
    let (accept, accepted) = oneshot::channel();
    drop(ready.send(Ok(Acceptance(accept))));
    if accepted.await.is_err() {
        // Nobody waits for the start any more: what it began is ended.
        return shutdown::end(&mut driver, Ending::Now, &mut ending).await;
    }
    let how = loop {
        tokio::select! {
            () = driver.step() => {}
            Ok(()) = ending.changed() => match *ending.borrow_and_update() {
                Ending::No => {}
                Ending::ClaimNothing => {
                    driver.act();
                    driver.hear(Input::Stop);
                }
                how => break how,
            }
        }
    };
    shutdown::end(&mut driver, how, &mut ending).await;
}
