//! What runs cost by themselves that can be stopped and hold back nobody: [`limit_records`](../limit_records/index.html), but
//! each handler is taken from a queue by itself, so that one that blocks its thread holds back no other while a worker is
//! free; each run can be found, cancelled, aborted and limited in time while it goes on; and each end is known at once. There
//! is still one table under one lock, and no store.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use asyncz_peers::book::{Book, End, Fire, lock};
use asyncz_peers::limit::{Running, poll};
use asyncz_peers::{Job, Peer};
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// So many are handed over together.
const BATCH: usize = 1_000;
/// After so many runs a runner lets others have its worker.
const STRETCH: usize = 32;
const BOXES: usize = 8;

struct Stoppable(Job, Arc<Shared>);

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    waiting: Mutex<VecDeque<Arc<Run>>>,
    live: Mutex<Live>,
    ends: [Ends; BOXES],
    has_come: AtomicBool,
    came: Notify,
}

/// The runs that go on, by their tickets.
#[derive(Default)]
struct Live {
    runs: Vec<Option<Arc<Run>>>,
    free: Vec<u32>,
}

/// The ends that some threads have told, away from the others' in memory.
#[derive(Default)]
#[repr(align(128))]
struct Ends(Mutex<Vec<(u32, End)>>);

struct Run {
    fire: Fire,
    ticket: u32,
    /// Microseconds since 1970; 0: not started.
    started: AtomicI64,
    /// The same; 0: none.
    deadline: AtomicI64,
    /// 1: it should stop; 2: it must.
    stage: AtomicU8,
    stage_changed: Notify,
}

thread_local! {
    static OWN: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % BOXES
    };
}

impl Peer for Stoppable {
    const NAME: &str = "limit: a history, and runs that can be stopped";

    async fn prepare(job: Job) -> Self {
        Self(job, Arc::default())
    }

    async fn add(&mut self) {
        lock(&self.1.book).add(self.0);
    }

    async fn go(&mut self) {
        tokio::spawn(drive(self.1.clone()));
    }
}

async fn drive(shared: Arc<Shared>) {
    loop {
        let (fires, next) = lock(&shared.book).decide(Utc::now());
        let mut fires = fires.into_iter().peekable();
        while fires.peek().is_some() {
            shared.hand_over(fires.by_ref().take(BATCH));
            shared.hear_ends();
        }
        let next = next.map(|next| (next - Utc::now()).to_std().unwrap_or_default());
        tokio::select! {
            () = shared.came.notified() => {}
            () = async { tokio::time::sleep(next.unwrap_or_default()).await }, if next.is_some() => {}
        }
        shared.hear_ends();
    }
}

impl Shared {
    fn hand_over(self: &Arc<Self>, fires: impl Iterator<Item = Fire>) {
        let mut runs = Vec::with_capacity(BATCH);
        {
            let Live { runs: live, free } = &mut *lock(&self.live);
            for fire in fires {
                let ticket = free.pop().unwrap_or_else(|| {
                    live.push(None);
                    (live.len() - 1) as u32
                });
                let run = Arc::new(Run {
                    fire,
                    ticket,
                    started: AtomicI64::new(0),
                    deadline: AtomicI64::new(0),
                    stage: AtomicU8::new(0),
                    stage_changed: Notify::new(),
                });
                live[ticket as usize] = Some(run.clone());
                runs.push(run);
            }
        }
        lock(&self.waiting).extend(runs);
        for _ in 0..Handle::current().metrics().num_workers() {
            tokio::spawn(run_all(self.clone()));
        }
    }

    fn hear_ends(&self) {
        self.has_come.store(false, Ordering::SeqCst);
        for own in &self.ends {
            let ends = std::mem::take(&mut *lock(&own.0));
            if ends.is_empty() {
                continue;
            }
            let (mut book, mut live) = (lock(&self.book), lock(&self.live));
            for (ticket, end) in ends {
                live.runs[ticket as usize] = None;
                live.free.push(ticket);
                book.end(end);
            }
        }
    }

    fn tell(&self, ticket: u32, end: End) {
        lock(&self.ends[OWN.with(|own| *own)].0).push((ticket, end));
        if !self.has_come.load(Ordering::SeqCst) && !self.has_come.swap(true, Ordering::SeqCst) {
            self.came.notify_one();
        }
    }
}

/// Takes runs until none waits.
async fn run_all(shared: Arc<Shared>) {
    while poll_fn(|context| Poll::Ready(run_some(&shared, context))).await {
        tokio::task::yield_now().await;
    }
}

fn run_some(shared: &Arc<Shared>, context: &mut Context<'_>) -> bool {
    let mut now = None;
    for _ in 0..STRETCH {
        let Some(run) = lock(&shared.waiting).pop_front() else { return false };
        let started_at = now.unwrap_or_else(Utc::now);
        now = Some(begin(shared, run, started_at, context));
    }
    true
}

fn begin(
    shared: &Arc<Shared>,
    run: Arc<Run>,
    started_at: DateTime<Utc>,
    context: &mut Context<'_>,
) -> DateTime<Utc> {
    let micros = started_at.timestamp_micros();
    let most = run.deadline.load(Ordering::Acquire);
    if most < 0 {
        run.deadline.store(micros.saturating_sub(most), Ordering::Release);
    }
    if run.started.compare_exchange(0, micros, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return started_at;
    }
    let mut future = None;
    let first = catch_unwind(AssertUnwindSafe(|| {
        let future = future.insert((run.fire.handler)(run.fire.due));
        future.as_mut().poll(context).is_pending()
    }));
    let finished_at = Utc::now();
    let has_panicked = first.is_err();
    let end = End { task: run.fire.task, run: run.fire.run, started_at, finished_at, has_panicked };
    match (first, future) {
        (Ok(true), Some(future)) => drop(tokio::spawn(rest(shared.clone(), run, future, end))),
        _ => shared.tell(run.ticket, end),
    }
    finished_at
}

async fn rest(shared: Arc<Shared>, run: Arc<Run>, mut future: Running, end: End) {
    let ended = poll_fn(|context| match poll(&mut future, context) {
        Ok(true) if run.stage.load(Ordering::Acquire) < 2 => Poll::Pending,
        ended => Poll::Ready(ended.is_err()),
    });
    let has_panicked = tokio::select! {
        biased;
        has_panicked = ended => has_panicked,
        () = run.stage_changed.notified() => false,
    };
    shared.tell(run.ticket, End { finished_at: Utc::now(), has_panicked, ..end });
}

fn main() {
    asyncz_peers::run::<Stoppable>();
}
