//! The options of tasks and their defaults.

use std::time::Duration;

use super::record::{Overlap, Recover, Rules};
use crate::Trigger;

/// What a task's options are where the task does not say: [`AsynczConfig::task_defaults`](crate::AsynczConfig::task_defaults).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDefaults {
    coalesce: bool,
    max_instances: u32,
    misfire_grace_time: Option<Duration>,
    recover: Recover,
}

impl Default for TaskDefaults {
    /// `coalesce` true, `max_instances` 1, no `misfire_grace_time`: after a deploy or an outage the latest due occurrence
    /// runs, late, once. `recover` [`Rerun`](Recover::Rerun).
    fn default() -> Self {
        Self { coalesce: true, max_instances: 1, misfire_grace_time: None, recover: Recover::Rerun }
    }
}

impl TaskDefaults {
    /// As [`default`](Self::default).
    pub fn new() -> Self {
        Self::default()
    }

    /// The defaults of Asyncz: as ours, but an occurrence more than one second late is missed.
    pub fn asyncz() -> Self {
        Self { misfire_grace_time: Some(Duration::from_secs(1)), ..Self::default() }
    }

    /// Whether of several due occurrences only the latest runs. Default: true.
    #[must_use]
    pub fn coalesce(mut self, coalesce: bool) -> Self {
        self.coalesce = coalesce;
        self
    }

    /// How many runs of a task may go on at once, 1 or more. Default: 1.
    #[must_use]
    pub fn max_instances(mut self, instances: u32) -> Self {
        self.max_instances = instances;
        self
    }

    /// How late an occurrence may be decided and still run, above 0. Default: `None`, however late.
    #[must_use]
    pub fn misfire_grace_time(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.misfire_grace_time = grace.into();
        self
    }

    /// What becomes of a run whose scheduler died. Default: [`Recover::Rerun`].
    #[must_use]
    pub fn recover(mut self, recover: Recover) -> Self {
        self.recover = recover;
        self
    }
}

/// What a task says itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) coalesce: Option<bool>,
    pub(crate) max_instances: Option<u32>,
    pub(crate) misfire_grace_time: Option<Option<Duration>>,
    pub(crate) max_catch_up: Option<u32>,
    pub(crate) jitter: Option<Duration>,
    pub(crate) overlap: Option<Overlap>,
    pub(crate) queue_limit: Option<u32>,
    pub(crate) retries: Option<u32>,
    pub(crate) retry_backoff: Option<Duration>,
    pub(crate) timeout: Option<Option<Duration>>,
    pub(crate) recover: Option<Recover>,
}

const MAX_CATCH_UP: u32 = 1_000;
pub(super) const QUEUE_LIMIT: u32 = 1_000;
const RETRY_BACKOFF: Duration = Duration::from_secs(1);

impl Options {
    /// The rules that follow from what the task says, or what is wrong with it.
    pub(crate) fn rules(&self, defaults: &TaskDefaults, trigger: &dyn Trigger) -> Result<Rules, String> {
        self.change(&Rules {
            coalesce: defaults.coalesce,
            max_instances: defaults.max_instances,
            misfire_grace_time: defaults.misfire_grace_time,
            max_catch_up: MAX_CATCH_UP,
            jitter: trigger.jitter(),
            overlap: Overlap::Skip,
            queue_limit: QUEUE_LIMIT,
            retries: 0,
            retry_backoff: RETRY_BACKOFF,
            timeout: None,
            recover: defaults.recover,
        })
    }

    /// The rules with what is said here in the place of what stood there.
    pub(crate) fn change(&self, rules: &Rules) -> Result<Rules, String> {
        let changed = Rules {
            coalesce: self.coalesce.unwrap_or(rules.coalesce),
            max_instances: self.max_instances.unwrap_or(rules.max_instances),
            misfire_grace_time: self.misfire_grace_time.unwrap_or(rules.misfire_grace_time),
            max_catch_up: self.max_catch_up.unwrap_or(rules.max_catch_up),
            jitter: self.jitter.unwrap_or(rules.jitter),
            overlap: self.overlap.unwrap_or(rules.overlap),
            queue_limit: self.queue_limit.unwrap_or(rules.queue_limit),
            retries: self.retries.unwrap_or(rules.retries),
            retry_backoff: self.retry_backoff.unwrap_or(rules.retry_backoff),
            timeout: self.timeout.unwrap_or(rules.timeout),
            recover: self.recover.unwrap_or(rules.recover),
        };
        for (option, time) in
            [("misfire_grace_time", changed.misfire_grace_time), ("timeout", changed.timeout)]
        {
            if time == Some(Duration::ZERO) {
                return Err(format!("{option} 0: write a time above 0, or none"));
            }
        }
        for (option, value) in [
            ("max_instances", changed.max_instances),
            ("max_catch_up", changed.max_catch_up),
            ("queue_limit", changed.queue_limit),
        ] {
            if value == 0 {
                return Err(format!("{option} 0: write 1 or more"));
            }
        }
        self.idle(&changed).map_or(Ok(changed), |idle| Err(idle.to_owned()))
    }

    /// What is said here and would do nothing.
    fn idle(&self, rules: &Rules) -> Option<&'static str> {
        if self.queue_limit.is_some() && rules.overlap != Overlap::QueueAll {
            return Some("queue_limit has no use without overlap `queue_all`");
        }
        if self.retry_backoff.is_some() && rules.retries == 0 {
            return Some("retry_backoff has no use without retries: say how many, 1 or more");
        }
        if self.max_catch_up.is_some() && rules.coalesce {
            return Some(
                "max_catch_up has no use while coalesce is true, with which only the latest runs: set it to false",
            );
        }
        None
    }
}

/// Writes the methods that set the options of a new task and change those of one there is.
macro_rules! option_methods {
    ($builder:ident) => {
        impl $builder {
            /// Whether of several due occurrences only the latest runs. A new task's default: true.
            pub fn coalesce(mut self, coalesce: bool) -> Self {
                self.options.coalesce = Some(coalesce);
                self
            }

            /// How many runs of the task may go on at once, 1 or more; what becomes of an occurrence due
            /// meanwhile, [`overlap`](Self::overlap) says. A new task's default: 1.
            pub fn max_instances(mut self, instances: u32) -> Self {
                self.options.max_instances = Some(instances);
                self
            }

            /// How late an occurrence may be decided and still run, above 0: with 0 all would be missed. A
            /// new task's default: `None`, however late.
            pub fn misfire_grace_time(mut self, grace: impl Into<Option<Duration>>) -> Self {
                self.options.misfire_grace_time = Some(grace.into());
                self
            }

            /// How many due occurrences run at most at a time, the latest ones; those before are recorded as
            /// missed. It needs [`coalesce`](Self::coalesce) false, and is refused otherwise. A new task's
            /// default: 1,000.
            pub fn max_catch_up(mut self, occurrences: u32) -> Self {
                self.options.max_catch_up = Some(occurrences);
                self
            }

            /// Starts each run up to this much later than due: the same for the same occurrence on every
            /// node. A new task's default: the trigger's jitter.
            pub fn jitter(mut self, jitter: Duration) -> Self {
                self.options.jitter = Some(jitter);
                self
            }

            /// What becomes of an occurrence while `max_instances` runs go on. A new task's default:
            /// [`Overlap::Skip`](crate::Overlap::Skip).
            pub fn overlap(mut self, overlap: Overlap) -> Self {
                self.options.overlap = Some(overlap);
                self
            }

            /// So many occurrences wait at most, 1 or more; those beyond are skipped. It needs
            /// [`Overlap::QueueAll`](crate::Overlap::QueueAll), and is refused otherwise. A new task's default:
            /// 1,000.
            pub fn queue_limit(mut self, occurrences: u32) -> Self {
                self.options.queue_limit = Some(occurrences);
                self
            }

            /// How often a failed run is tried again. A new task's default: 0.
            pub fn retries(mut self, retries: u32) -> Self {
                self.options.retries = Some(retries);
                self
            }

            /// From a failure to the first retry; twice as long for each further one, 5 minutes at most. It
            /// needs [`retries`](Self::retries), and is refused otherwise. A new task's default: 1 s.
            pub fn retry_backoff(mut self, backoff: Duration) -> Self {
                self.options.retry_backoff = Some(backoff);
                self
            }

            /// How long a run may take; one that takes longer has failed. An async handler is dropped at its
            /// next await, a `fn` can only be told: see
            /// [`TaskContext::is_cancelled`](crate::TaskContext::is_cancelled). A new task's default: `None`,
            /// as long as it likes.
            pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
                self.options.timeout = Some(timeout.into());
                self
            }

            /// What becomes of a run whose scheduler died, where the store outlives it. A new task's default:
            /// [`Recover::Rerun`](crate::Recover::Rerun).
            pub fn recover(mut self, recover: Recover) -> Self {
                self.options.recover = Some(recover);
                self
            }
        }
    };
}

pub(crate) use option_methods;
