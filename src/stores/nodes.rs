//! Who shares a store: schedulers, and their leases.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::task::{Handlers, NodeId, RunRecord, TaskRecord};

/// A scheduler, from one start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Unlike that of every other, and of this one's other starts.
    pub id: NodeId,
    /// The scheduler's name: see [`AsynczConfig::identity`](crate::AsynczConfig::identity).
    pub identity: Arc<str>,
    /// The host's name.
    pub host: Arc<str>,
    /// The process.
    pub pid: u32,
    /// The version of asyncz.
    pub version: Arc<str>,
    /// The program's release: see [`AsynczConfig::release`](crate::AsynczConfig::release).
    pub release: u64,
    /// When it was started, by its own clock.
    pub started_at: DateTime<Utc>,
}

/// A scheduler as its store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The scheduler.
    #[serde(flatten)]
    pub node: Node,
    /// When it was heard of last, by the store's clock.
    pub renewed_at: DateTime<Utc>,
    /// Until when its runs are believed to go on, by the store's clock.
    pub leased_until: DateTime<Utc>,
    /// How far the store's clock is ahead of its own, in milliseconds; `None`: it does not know, or the store has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
}

/// A scheduler that lives says so.
#[derive(Clone, Debug)]
pub struct Beat {
    /// The scheduler.
    pub node: Node,
    /// How long it is to be believed alive from now on; zero: it leaves, and what it has left is taken over at once.
    pub lease: Duration,
    /// The time by the scheduler's clock; a store with a clock of its own goes by that.
    pub now: DateTime<Utc>,
    /// How far the store's clock is ahead of the scheduler's.
    pub skew: Option<TimeDelta>,
    /// It takes over runs of these handlers' tasks.
    pub handlers: Handlers,
    /// So many at a time.
    pub limit: usize,
}

impl Beat {
    /// The scheduler as its store is to know it from now on.
    pub fn record(&self, now: DateTime<Utc>) -> NodeRecord {
        NodeRecord {
            node: self.node.clone(),
            renewed_at: now,
            leased_until: now + TimeDelta::from_std(self.lease).unwrap_or(TimeDelta::MAX),
            skew_ms: self.skew.map(|skew| skew.num_milliseconds()),
        }
    }
}

/// What became of a lease, and of those of others.
///
/// Runs of lapsed schedulers whose tasks are gone are closed by the store itself, as lost: nobody would take them over.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// The store's clock; `None`: it has none.
    pub now: Option<DateTime<Utc>>,
    /// The lease had lapsed, or there was none: the scheduler's runs may be somebody else's by now.
    pub had_lapsed: bool,
    /// Runs of schedulers whose leases have lapsed, to be taken over; at most as many as were asked for.
    pub lapsed: Vec<LapsedRun>,
    /// When the next lease of another scheduler that has runs will lapse.
    pub next_lapse: Option<DateTime<Utc>>,
    /// All schedulers that the store knows, this one included.
    pub nodes: Vec<NodeRecord>,
}

/// A run that a scheduler had which is gone, or not heard of.
#[derive(Clone, Debug)]
pub struct LapsedRun {
    /// Its task.
    pub task: TaskRecord,
    /// The run.
    pub run: RunRecord,
    /// Until when its scheduler was believed alive.
    pub leased_until: DateTime<Utc>,
}
