//! Leases: kept by renewing them, and what lapses with them. A store that gives none keeps these promises as it is.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::run;
use super::tested::{HANDLER, LONG, SHORT, Tested, WON, claim, defined, handlers, node, task};
use crate::stores::{Beat, ClaimOutcome, LapsedRun, Node, Renewal};
use crate::{RunStatus, Store};

impl Tested {
    pub(super) fn has_leases(&self) -> bool {
        self.store.lease().is_some()
    }

    /// A scheduler that holds a lease.
    pub(super) async fn holder(&self, lease: Duration) -> Node {
        let node = node();
        self.beat(&node, lease).await;
        node
    }

    /// The scheduler leaves: what it has is free at once.
    pub(super) async fn leave(&self, node: &Node) {
        self.beat(node, Duration::ZERO).await;
    }

    /// Adds a task that is due, and has a scheduler claim a run of it.
    pub(super) async fn run_at(&self, node: &Node, id: &str) -> crate::stores::Claim {
        self.add_due(id).await;
        self.run_of(node.id, id).await
    }
}

/// The tasks of lapsed runs.
pub(super) fn lapsed_tasks(lapsed: &[LapsedRun]) -> Vec<&str> {
    let mut ids: Vec<_> = lapsed.iter().map(|lapsed| lapsed.task.id().as_str()).collect();
    ids.sort_unstable();
    ids
}

/// Until when a scheduler is believed alive.
fn leased_until(renewal: &Renewal, node: &Node) -> DateTime<Utc> {
    let record = renewal.nodes.iter().find(|record| record.node.id == node.id);
    record.unwrap_or_else(|| panic!("the store does not know {}", node.id)).leased_until
}

/// A scheduler whose lease has lapsed, or that has none, claims no runs, and nothing is written.
pub fn runs_are_claimed_only_with_a_lease<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (stranger, known) = (node(), tested.add_due("task").await);
        let before = tested.state("task").await;
        let mut claims = claim(&known, &[RunStatus::Missed, RunStatus::Claimed], tested.now().await);
        let outcomes = tested.claim(stranger.id, std::slice::from_ref(&claims)).await;
        assert_eq!(outcomes, [ClaimOutcome::Lapsed], "it never had a lease");
        assert_eq!(tested.state("task").await, before, "nothing is written");
        // Held, left, and held again.
        let holder = tested.holder(LONG).await;
        tested.leave(&holder).await;
        claims.decided_at = tested.now().await;
        let outcomes = tested.claim(holder.id, std::slice::from_ref(&claims)).await;
        assert_eq!(outcomes, [ClaimOutcome::Lapsed], "it has left");
        let until = leased_until(&tested.beat(&holder, SHORT).await, &holder);
        tested.until("its lease has lapsed", async || tested.now().await > until).await;
        claims.decided_at = tested.now().await;
        let outcomes = tested.claim(holder.id, std::slice::from_ref(&claims)).await;
        assert_eq!(outcomes, [ClaimOutcome::Lapsed], "it has lapsed");
        assert_eq!(tested.state("task").await, before, "nothing is written");
        assert!(tested.beat(&holder, LONG).await.had_lapsed, "the lease had lapsed");
        claims.decided_at = tested.now().await;
        assert_eq!(tested.claim(holder.id, &[claims]).await, [WON], "renewing brings it back");
    });
}

/// A claim that only says why nothing runs takes no lease.
pub fn what_claims_no_run_takes_no_lease<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (stranger, now) = (node(), tested.now().await);
        let missed = claim(&tested.add_due("task").await, &[RunStatus::Missed, RunStatus::Queued], now);
        tested.win(stranger.id, &missed).await;
        assert_eq!(tested.runs_of("task").await.len(), 2, "it is written");
    });
}

/// The store knows the schedulers as they said, until when each is believed alive, and whether its lease had lapsed.
pub fn schedulers_and_their_leases_are_known<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (mut first, second) = (node(), node());
        first.identity = "näme \u{1f680} 'quoted'".into();
        (first.release, first.pid) = (20_260_101_000_000, u32::MAX);
        let began = tested.now().await;
        assert!(tested.beat(&first, LONG).await.had_lapsed, "it had none");
        assert!(tested.beat(&second, LONG).await.had_lapsed, "it had none, whoever else has one");
        let skew = TimeDelta::milliseconds(-1_234);
        let beat = Beat { skew: Some(skew), ..tested.question(&first).await };
        let renewal = tested.store.renew(&beat).await.expect("it renews");
        assert!(!renewal.had_lapsed, "its lease was held");
        assert_eq!(renewal.nodes.len(), 2, "both are known: {:?}", renewal.nodes);
        let known = renewal.nodes.iter().find(|record| record.node.id == first.id).expect("it is known");
        assert_eq!((&known.node, known.skew_ms), (&first, Some(-1_234)), "it is as it said");
        assert!(known.renewed_at >= began - TimeDelta::seconds(1), "it was just heard of");
        assert_eq!(known.leased_until - known.renewed_at, TimeDelta::seconds(60), "it is believed so long");
        tested.leave(&first).await;
        assert!(tested.beat(&first, LONG).await.had_lapsed, "it had left");
    });
}

/// When a lease has lapsed the scheduler's runs are found, each with its task, and until when it was believed alive; before
/// that it is told when that will be.
pub fn lapsed_runs_are_found<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (holder, other) = (tested.holder(LONG).await, tested.holder(LONG).await);
        let runs = tested.run_at(&holder, "task").await;
        tested.run_at(&other, "other's").await;
        let until = leased_until(&tested.beat(&holder, SHORT).await, &holder);
        let renewal = tested.beat(&other, LONG).await;
        assert_eq!(lapsed_tasks(&renewal.lapsed), [] as [&str; 0], "the lease is held");
        let next = renewal.next_lapse.expect("one will lapse");
        assert!(
            (next - until).abs() <= TimeDelta::milliseconds(1),
            "the next to lapse is told: {next}, {until}"
        );
        let mut lapsed = Vec::new();
        tested
            .until("the lease has lapsed", async || {
                let renewal = tested.beat(&other, LONG).await;
                assert!(!renewal.had_lapsed, "the other's lease is held");
                lapsed = renewal.lapsed;
                !lapsed.is_empty()
            })
            .await;
        assert!(tested.now().await >= until, "it has lapsed when it was to, and no earlier");
        let [LapsedRun { task, run, leased_until }] = &lapsed[..] else { panic!("one run: {lapsed:?}") };
        assert_eq!((run.id, run.node), (runs.decisions[0].run, Some(holder.id)), "it is the run");
        assert_eq!((task.id().as_str(), task.schedule), ("task", runs.schedule), "it has its task");
        assert!((*leased_until - until).abs() <= TimeDelta::milliseconds(1), "{leased_until}, {until}");
        assert_eq!(
            lapsed_tasks(&tested.beat(&holder, LONG).await.lapsed),
            [] as [&str; 0],
            "its own are not others'"
        );
        assert_eq!(lapsed_tasks(&tested.beat(&other, LONG).await.lapsed), [] as [&str; 0], "it lives again");
    });
}

/// Lapsed runs are found only of tasks that can be run by who asks, and no more than asked for.
pub fn only_what_can_be_run_is_taken_over<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let (holder, other) = (tested.holder(LONG).await, tested.holder(LONG).await);
        let due = tested.now().await - TimeDelta::seconds(10);
        for n in 0..5 {
            let of_others = task(&format!("a-{n}"), due);
            tested.add([defined(of_others, |definition| definition.handler = "others".into())]).await;
            tested.run_of(holder.id, &format!("a-{n}")).await;
            tested.run_at(&holder, &format!("b-{n}")).await;
        }
        tested.leave(&holder).await;
        let all = tested.beat(&other, LONG).await.lapsed;
        assert_eq!(lapsed_tasks(&all), ["b-0", "b-1", "b-2", "b-3", "b-4"], "others' handlers don't count");
        for (limit, names, expected) in [(3, [HANDLER], 3), (100, ["others"], 5), (100, ["no task's"], 0)] {
            let beat = Beat { limit, handlers: handlers(names), ..tested.question(&other).await };
            let found = tested.store.renew(&beat).await.expect("it renews").lapsed;
            assert_eq!(
                found.len(),
                expected,
                "at most {limit}, and of {names:?}: {:?}",
                lapsed_tasks(&found)
            );
        }
    });
}

/// The next lease to lapse is that of the others who have runs.
pub fn the_next_lapse_is_known<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        if !tested.has_leases() {
            return;
        }
        let [idle, soon, late, asks] = [node(), node(), node(), node()];
        for (node, seconds) in [(&idle, 20), (&soon, 40), (&late, 60)] {
            tested.beat(node, Duration::from_secs(seconds)).await;
        }
        assert_eq!(tested.beat(&asks, LONG).await.next_lapse, None, "nobody has runs");
        for (node, id) in [(&soon, "soon"), (&late, "late")] {
            tested.run_at(node, id).await;
        }
        let renewal = tested.beat(&asks, Duration::from_secs(10)).await;
        let (next, soonest) = (renewal.next_lapse.expect("they have runs"), leased_until(&renewal, &soon));
        assert!((next - soonest).abs() <= TimeDelta::milliseconds(1), "the next is told: {next}, {soonest}");
        let renewal = tested.beat(&soon, LONG).await;
        let (next, last) = (renewal.next_lapse.expect("another has runs"), leased_until(&renewal, &late));
        assert!((next - last).abs() <= TimeDelta::milliseconds(1), "one's own is not told: {next}, {last}");
    });
}

/// Where the store has a clock, that decides what has lapsed, whatever a scheduler's own says.
pub fn the_stores_clock_decides_what_has_lapsed<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let Some(time) = tested.store.now().await.expect("it tells its time").filter(|_| tested.has_leases())
        else {
            return;
        };
        let other = node();
        for hours in [-1, 1] {
            let (holder, id) = (node(), format!("{hours}"));
            let beat = Beat { now: time + TimeDelta::hours(hours), ..tested.question(&holder).await };
            let renewal = tested.store.renew(&beat).await.expect("it renews");
            let until = leased_until(&renewal, &holder) - time;
            assert!(
                until > TimeDelta::zero() && until < TimeDelta::minutes(5),
                "by the store's clock: {until}"
            );
            assert!(
                renewal.now.is_some_and(|now| (now - time).abs() < TimeDelta::minutes(1)),
                "it tells its time"
            );
            let runs =
                claim(&tested.add_due(&id).await, &[RunStatus::Claimed], time + TimeDelta::hours(hours));
            tested.win(holder.id, &runs).await;
            // The same lease to others, be they late or early.
            let beat = Beat { now: time + TimeDelta::hours(1), ..tested.question(&other).await };
            let lapsed = tested.store.renew(&beat).await.expect("it renews").lapsed;
            assert_eq!(lapsed_tasks(&lapsed), [] as [&str; 0], "it has not lapsed by the store's clock");
            tested.leave(&holder).await;
            let beat = Beat { now: time - TimeDelta::hours(1), ..tested.question(&other).await };
            let lapsed = tested.store.renew(&beat).await.expect("it renews").lapsed;
            assert_eq!(lapsed_tasks(&lapsed), [&*id], "it has lapsed by the store's clock");
            tested.delete(&id).await;
        }
    });
}
