//! Many schedulers on one store, with everything that can go wrong, from a seed.
//!
//! `world` is the loop: it takes what comes next and lets it happen. `wire` lies between each scheduler and the store, where
//! questions and answers stand still until their time has come; `ledger` has what the store must have, and compares.

mod check;
mod edits;
mod invariant;
mod ledger;
mod node;
mod random;
mod trace;
mod troubles;
mod users;
mod wire;
mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::stores::{MemoryStore, Store};

pub use invariant::Invariant;

/// Schedulers on one store, and all that can go wrong with them: days in milliseconds, and everything follows from a seed.
///
/// What decides, and what users call, is the real thing; threads, timers, the network and the handlers are played. So a
/// store of your own can be shown to keep its promises, and a seed that fails fails again:
///
/// ```
/// use asyncz::MemoryStore;
/// use asyncz::testing::Simulation;
///
/// for seed in 0..5 {
///     let report = Simulation::new(seed).schedulers(3).hours(1).store(MemoryStore::new()).run()?;
///     assert!(report.decisions > 0);
/// }
/// # Ok::<(), asyncz::testing::SimulationError>(())
/// ```
///
/// # What happens
///
/// - Clocks are apart by seconds, and are set back and forth by up to three hours.
/// - Each question to the store and each answer takes its time. Some questions never arrive; some answers don't come back,
///   and the scheduler hears of an error while the store has done what it was asked.
/// - Schedulers wake too early, too late and twice; they vanish at any await, with all that they had claimed, and start
///   again later; they are stopped, paused and resumed. Each declares two tasks when it starts.
/// - Runs take from no time to ten minutes, fail, panic, don't hear when they are told to stop, and end twice.
/// - Users add tasks of all kinds, change, reschedule, pause, resume, run and delete them, and set their next run; some
///   don't wait for the answer.
/// - A scheduler hears of what others have changed within a second, now and then twice; where a store gives leases the word is
///   lost at times.
///
/// In the end nothing fails any more, all schedulers start again, and all that is due must come to be decided; then they
/// are stopped and must come to rest. After each call to the store the tasks and runs that it has are compared with those
/// that it must have: see [`Invariant`].
///
/// # What is not covered yet
///
/// - Where a store gives no leases, a run whose scheduler has vanished is one that goes on as far as the store knows: it counts
///   for `max_instances` from then on. [`stranded`](SimulationReport::stranded) says how many there were.
/// - A question that arrives only after its scheduler has heard an error, and stores that answer from an old copy.
/// - `Shutdown` triggers, imports, and stores that come and go.
///
/// # Stores
///
/// The store is empty at first, belongs to the simulation alone, goes by the times that it is told, and does not fail by
/// itself. Where it gives leases all schedulers have one clock, which is set back and forth, as on one host. Its history
/// keeps what it is given: one that keeps few entries must keep more than a simulation makes, as the default does. Futures
/// are polled on the thread that calls [`run`](Self::run), which blocks. A store that needs a runtime takes a multi-thread
/// one that is entered: `let _entered = runtime.enter();`.
#[derive(Debug)]
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation {
    seed: u64,
    schedulers: usize,
    lasting: Duration,
    replays: bool,
    store: ChosenStore,
}

/// The store of a simulation.
#[derive(Debug)]
enum ChosenStore {
    /// One in memory: by the seed with leases or without, and with leases it goes by the true time.
    Ours,
    Given(Arc<dyn Store>),
}

impl ChosenStore {
    /// The store, and whether it goes by the true time.
    fn build(self, random: &mut random::Random, time: &Arc<node::Time>) -> (Arc<dyn Store>, bool) {
        match self {
            Self::Given(store) => (store, false),
            Self::Ours if random.once_in(4) => (Arc::new(MemoryStore::keeping(ENTRIES, ENTRIES)), false),
            Self::Ours => {
                let (store, time) = (MemoryStore::keeping(ENTRIES, ENTRIES), time.clone());
                (Arc::new(store.leased(Duration::from_secs(30)).with_clock(move || time.now())), true)
            }
        }
    }
}

/// More than any simulation makes: what it compares must not be forgotten.
const ENTRIES: usize = 1_000_000;

impl Simulation {
    /// A simulation of this seed: two schedulers on a [`MemoryStore`] for an hour.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            schedulers: 2,
            lasting: Duration::from_secs(3_600),
            replays: false,
            store: ChosenStore::Ours,
        }
    }

    /// How many schedulers there are, at least 1. Default: 2.
    pub fn schedulers(mut self, schedulers: usize) -> Self {
        self.schedulers = schedulers.max(1);
        self
    }

    /// How many hours things happen and go wrong, by the simulation's time. Default: 1.
    pub fn hours(self, hours: u32) -> Self {
        self.minutes(hours.saturating_mul(60))
    }

    /// As [`hours`](Self::hours), in minutes.
    pub fn minutes(mut self, minutes: u32) -> Self {
        self.lasting = Duration::from_secs(60 * u64::from(minutes));
        self
    }

    /// The store, which is empty and nobody else's. Default: a [`MemoryStore`], by the seed with leases or without.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = ChosenStore::Given(Arc::new(store));
        self
    }

    /// Lets each scheduler be played again from what it heard, which must come to the same. Default: no, as it takes time.
    pub fn replaying(mut self) -> Self {
        self.replays = true;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// The first [`Invariant`] that was broken.
    pub fn run(self) -> Result<SimulationReport, SimulationError> {
        let Self { seed, schedulers, lasting, replays, store } = self;
        world::World::new(seed, schedulers, lasting, replays, store).run()
    }
}

/// What happened in a [`Simulation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulationReport {
    /// The seed.
    pub seed: u64,
    /// How many things happened.
    pub steps: u64,
    /// Occurrences that were decided, those counted together as one, and runs by hand.
    pub decisions: u64,
    /// Runs that were claimed, retries among them.
    pub runs: u64,
    /// Claims that were won.
    pub won: u64,
    /// Claims that were lost to another scheduler or a user.
    pub lost: u64,
    /// Changes by users that were made.
    pub edits: u64,
    /// Questions to the store.
    pub questions: u64,
    /// Questions that never reached the store.
    pub lost_questions: u64,
    /// Answers that never came back.
    pub lost_answers: u64,
    /// Schedulers that vanished.
    pub crashes: u64,
    /// Clocks that were set.
    pub clock_steps: u64,
    /// Runs that were claimed and have not ended in the end: where the store gives no leases those of schedulers that have
    /// crashed, and of tasks that were deleted meanwhile.
    pub stranded: u64,
    /// How often a scheduler has taken over runs of one whose lease had lapsed.
    pub taken_over: u64,
    /// Of all that happened, in order: the same for the same seed.
    pub digest: u64,
}

impl SimulationReport {
    fn with(self, counts: ledger::Counts) -> Self {
        let ledger::Counts { decisions, runs, won, lost, edits, taken_over } = counts;
        Self { decisions, runs, won, lost, edits, taken_over, ..self }
    }
}

/// An [`Invariant`] that did not hold.
#[derive(Clone)]
#[non_exhaustive]
pub struct SimulationError {
    /// The seed that shows it, with the same settings.
    pub seed: u64,
    /// What did not hold.
    pub invariant: Invariant,
    /// The step at which it broke.
    pub step: u64,
    /// How it broke.
    pub what: String,
    /// The last steps: number, time, and what happened.
    pub trace: Vec<String>,
}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, invariant, step, what, trace } = self;
        writeln!(f, "seed {seed}, step {step}: {invariant}: {what}; the last steps:")?;
        trace.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// As [`Display`](fmt::Display), so that a test that unwraps it says everything.
impl fmt::Debug for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SimulationError {}
