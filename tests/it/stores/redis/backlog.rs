//! Many tasks that are all due: claimed in bounded steps, none of which holds up the server.

use std::sync::Arc;
use std::time::Duration;

use asyncz::stores::{Beat, Claim, ClaimOutcome, Decision, Edit, Finish, FinishOutcome, Node, RunEnd, Then};
use asyncz::stores::{EditOutcome, Query};
use asyncz::{
    Count, DateTrigger, Handlers, NodeId, Occurrence, Overlap, Recover, RedisStore, Rules, RunStatus,
    Schedule, Store, StoreKey, TaskDefinition, TaskId, TaskRecord, redis,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Place, started};
use crate::scheduler::NOON;

const HANDLERS: [&str; 3] = ["backlog::a", "backlog::b", "backlog::c"];

fn noon() -> DateTime<Utc> {
    NOON.parse().unwrap()
}

/// A task that was due so many milliseconds after noon.
pub(super) fn task(id: &str, millis: i64) -> TaskRecord {
    let due = noon() + TimeDelta::milliseconds(millis);
    let rules = Rules {
        coalesce: true,
        max_instances: 1,
        misfire_grace_time: None,
        max_catch_up: 1_000,
        jitter: Duration::ZERO,
        overlap: Overlap::Skip,
        queue_limit: 1_000,
        retries: 0,
        retry_backoff: Duration::from_secs(1),
        timeout: None,
        recover: Recover::Rerun,
    };
    let handler = HANDLERS[millis.unsigned_abs() as usize % HANDLERS.len()];
    let definition = TaskDefinition {
        id: id.into(),
        handler: handler.into(),
        name: handler.into(),
        trigger: Arc::new(DateTrigger::at(due)),
        trigger_digest: 1,
        args: None,
        executor: "default".into(),
        rules: rules.into(),
        release: 0,
    };
    let schedule = Schedule {
        version: 1_000,
        generation: 0,
        running: 0,
        next_run_time: Some(due),
        watermark: None,
        paused: false,
        ended: false,
    };
    TaskRecord { definition: definition.into(), schedule, waiting: Vec::new(), key: StoreKey::default() }
}

/// Adds tasks of these numbers and reads them.
pub(super) async fn add(store: &RedisStore, numbers: std::ops::Range<usize>) -> Vec<TaskRecord> {
    let ids: Vec<TaskId> = numbers.clone().map(|n| format!("task-{n:07}").into()).collect();
    let tasks = ids.iter().zip(numbers).map(|(id, n)| Edit::Insert(task(id.as_str(), n as i64)));
    let added = store.put(&tasks.collect::<Vec<_>>()).await.unwrap();
    assert!(added.iter().all(|outcome| *outcome == EditOutcome::Done));
    store.load(&ids).await.unwrap().into_iter().flatten().collect()
}

/// Decides so many occurrences of a task; then it is due in an hour. The runs are named by their numbers.
pub(super) fn claim(task: &TaskRecord, status: RunStatus, decisions: usize, first_run: usize) -> Claim {
    let due = task.schedule.next_run_time.unwrap();
    let mut schedule = task.schedule;
    schedule.version += 1;
    schedule.watermark = Some(due);
    schedule.next_run_time = Some(due + TimeDelta::hours(1));
    schedule.running += if status == RunStatus::Claimed { decisions as u32 } else { 0 };
    let decision = |n| Decision {
        run: format!("{:032x}", first_run + n).parse().unwrap(),
        occurrence: Occurrence { due, generation: 0, attempt: 1, is_catch_up: false, by_hand: false },
        occurrences: Count::ONE,
        status,
        starts_at: None,
        reason: None,
    };
    Claim {
        key: task.key,
        definition: task.definition.clone(),
        schedule,
        waiting: Vec::new(),
        decided_at: noon() + TimeDelta::minutes(30),
        decisions: (0..decisions).map(decision).collect(),
        taken_from: None,
    }
}

fn end(claim: &Claim) -> Finish {
    let decision = &claim.decisions[0];
    let (started_at, finished_at) = (Some(claim.decided_at), claim.decided_at);
    let end = RunEnd { status: RunStatus::Succeeded, started_at, finished_at, value: None, error: None };
    let (key, definition) = (claim.key, claim.definition.clone());
    Finish { key, definition, run: decision.run, occurrence: decision.occurrence, end, then: Then::Over }
}

/// A scheduler that holds a lease.
async fn holder(store: &RedisStore) -> NodeId {
    let node = Node {
        id: NodeId::from(7),
        identity: "backlog".into(),
        host: "localhost".into(),
        pid: 1,
        version: "0".into(),
        release: 0,
        started_at: noon(),
    };
    let handlers = Handlers::from_iter(HANDLERS);
    let lease = Duration::from_secs(86_400);
    let beat = Beat { node: node.clone(), lease, now: noon(), skew: None, handlers, limit: 1 };
    store.renew(&beat).await.unwrap();
    node.id
}

/// Has the server note what takes it longer than so many microseconds, and forget what it has noted.
async fn note_slower_than(place: &Place, micros: u32) {
    for (name, value) in [("slowlog-log-slower-than", micros), ("slowlog-max-len", 10_000)] {
        place.ask::<()>(redis::cmd("CONFIG").arg("SET").arg(name).arg(value)).await;
    }
    place.ask::<()>(redis::cmd("SLOWLOG").arg("RESET")).await;
}

/// How long took what was slow of what was asked for these keys, in microseconds; and of the [control](CONTROL).
async fn slow(place: &Place) -> (Vec<u64>, Vec<u64>) {
    let log: Vec<Vec<redis::Value>> = place.ask(redis::cmd("SLOWLOG").arg("GET").arg(-1)).await;
    let (mut slow, mut control) = (Vec::new(), Vec::new());
    for entry in log {
        // A number, when, how long, and the words of the command.
        let words: Vec<Vec<u8>> = redis::from_redis_value(entry[3].clone()).unwrap();
        let micros = redis::from_redis_value(entry[2].clone()).unwrap();
        if words.contains(&place.key("").into_bytes()) {
            slow.push(micros);
        } else if words.contains(&place.key("control").into_bytes()) {
            control.push(micros);
        }
    }
    (slow, control)
}

/// Writes as much as fifty claims do, and decides nothing: what takes longer now and then has waited for memory or for the machine.
const CONTROL: &str = r"
    local key, first = KEYS[1], tonumber(ARGV[1])
    local tasks, entries, order, open, due = {}, {}, {}, {}, {}
    for n = first, first + 49 do
        local run = string.format('%032x', n)
        redis.call('RPUSH', key .. ':history:' .. n, run)
        for list, value in pairs({[tasks] = string.rep('t', 90), [entries] = string.rep('e', 120)}) do
            list[#list + 1], list[#list + 2] = run, value
        end
        for _, list in ipairs({order, due}) do list[#list + 1], list[#list + 2] = n, run end
        open[#open + 1] = run
    end
    redis.call('HSET', key .. ':tasks', unpack(tasks))
    redis.call('HSET', key .. ':runs', unpack(entries))
    redis.call('ZADD', key .. ':order', unpack(order))
    redis.call('ZADD', key .. ':due', unpack(due))
    return redis.call('SADD', key .. ':open', unpack(open))
";

/// `ASYNCZ_BACKLOG=1000000` asks for so many tasks, and that no larger part of our scripts than of such as only write
/// takes longer than 5 ms: nothing else is to run then.
#[expect(clippy::print_stdout, reason = "what was found is shown where it is measured by hand")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_claimed_in_steps_that_hold_up_nobody() {
    let asked = std::env::var("ASYNCZ_BACKLOG");
    let (is_alone, count) = (asked.is_ok(), asked.map_or(20_000, |count| count.parse().unwrap()));
    let place = Place::server();
    let store = started(&place).await;
    note_slower_than(&place, 0).await;
    let by = holder(&store).await;
    assert!(!slow(&place).await.0.is_empty(), "it is seen what a script takes");
    note_slower_than(&place, 5_000).await;
    for first in (0..count).step_by(10_000) {
        add(&store, first..count.min(first + 10_000)).await;
    }
    let handlers = Handlers::from_iter(HANDLERS);

    // They were added 16 at a time, and read 200 at a time.
    let (mut decided, mut scripts, mut expected) = (0, count / 16 + count / 200, noon());
    let mut controls = 0;
    loop {
        let now = noon() + TimeDelta::minutes(30);
        let query = Query::Due { now, limit: 200, handlers: handlers.clone() };
        let due = store.query(query).await.unwrap().tasks;
        if due.is_empty() {
            break;
        }
        // The earliest first, whoever's they are.
        for task in &due {
            assert_eq!(task.schedule.next_run_time, Some(expected));
            expected += TimeDelta::milliseconds(1);
        }
        let claim = |(n, task)| claim(task, RunStatus::Claimed, 1, decided + n);
        let claims: Vec<_> = due.iter().enumerate().map(claim).collect();
        let won = store.claim(by, &claims).await.unwrap();
        assert!(won.iter().all(|outcome| *outcome == ClaimOutcome::Won { removed: false }));
        let ends = store.finish(by, &claims.iter().map(end).collect::<Vec<_>>()).await.unwrap();
        assert!(ends.iter().all(|outcome| *outcome == FinishOutcome::default()));
        // What is due; the claims and the ends, 50 at a time.
        (decided, scripts) = (decided + due.len(), scripts + 9);
        if is_alone {
            for _ in 0..4 {
                let mut control = redis::cmd("EVAL");
                control.arg(CONTROL).arg(1).arg(place.key("control")).arg(50 * controls);
                place.ask::<u64>(&control).await;
                controls += 1;
            }
        }
    }

    assert_eq!(decided, count);
    let (slow, control) = slow(&place).await;
    let told =
        format!("longer than 5 ms: {slow:?} of {scripts}; of {controls} that only write, {control:?} µs");
    println!("{told}");
    // The server counts the time when the machine was busy elsewhere, too: with other tests, unless it runs alone.
    let most = if is_alone { 2 * (control.len() + 1) * scripts / controls } else { scripts / 2 };
    assert!(slow.len() <= most, "{told}");
}
