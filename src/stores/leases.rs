//! The leases of the schedulers that share a store.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::nodes::{Beat, NodeRecord};
use crate::task::NodeId;

/// The schedulers that a store knows.
#[derive(Debug, Default)]
pub(super) struct Leases(BTreeMap<NodeId, NodeRecord>);

/// A scheduler that has lapsed for so long, and has no runs, is forgotten.
pub(super) const REMEMBERED: TimeDelta = TimeDelta::hours(1);

impl Leases {
    /// Notes that a scheduler lives; answers whether its lease had lapsed, or there was none.
    pub(super) fn beat(&mut self, beat: &Beat, now: DateTime<Utc>) -> bool {
        let had_lapsed = !self.is_held(beat.node.id, now);
        self.0.insert(beat.node.id, beat.record(now));
        had_lapsed
    }

    /// Whether a scheduler is believed alive.
    pub(super) fn is_held(&self, node: NodeId, now: DateTime<Utc>) -> bool {
        self.0.get(&node).is_some_and(|record| record.leased_until > now)
    }

    /// Until when a scheduler was believed alive; `None`: it is not known, or is still believed so.
    pub(super) fn lapsed_at(&self, node: NodeId, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.get(&node).map(|record| record.leased_until).filter(|until| *until <= now)
    }

    /// When the first lease of these others lapses that is held.
    pub(super) fn next_lapse(&self, others: &BTreeSet<NodeId>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let leases = others.iter().filter_map(|node| Some(self.0.get(node)?.leased_until));
        leases.filter(|until| *until > now).min()
    }

    /// Forgets those who have left, or have lapsed long ago, and have no runs.
    pub(super) fn forget(&mut self, with_runs: &BTreeSet<NodeId>, now: DateTime<Utc>) {
        self.0.retain(|node, record| {
            let has_left = record.leased_until <= record.renewed_at;
            with_runs.contains(node) || (!has_left && record.leased_until > now - REMEMBERED)
        });
    }

    #[cfg(all(feature = "file", unix))]
    pub(super) fn put(&mut self, record: NodeRecord) {
        self.0.insert(record.node.id, record);
    }

    #[cfg(all(feature = "file", unix))]
    pub(super) fn drop(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    pub(super) fn records(&self) -> Vec<NodeRecord> {
        self.0.values().cloned().collect()
    }
}
