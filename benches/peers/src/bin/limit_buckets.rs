//! The limit we know of: buckets of a millisecond, 64 fires to a tokio task, each polled once there and spawned only if it waits.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use asyncz_peers::limit::{Entry, Handler, entries, poll};
use asyncz_peers::{Job, Peer, now_ns};

const MILLISECOND: u64 = 1_000_000;
const BATCH: usize = 64;

type Buckets = BTreeMap<u64, Vec<Entry>>;

struct InBuckets(Job, Buckets);

impl Peer for InBuckets {
    const NAME: &str = "limit: buckets, batches of 64";

    async fn prepare(job: Job) -> Self {
        Self(job, Buckets::new())
    }

    async fn add(&mut self) {
        for entry in entries(self.0) {
            self.1.entry(entry.due / MILLISECOND).or_default().push(entry);
        }
    }

    async fn go(&mut self) {
        let buckets = std::mem::take(&mut self.1);
        tokio::spawn(drive(buckets));
    }
}

async fn drive(mut buckets: Buckets) {
    while let Some(first) = buckets.first_entry() {
        let (due, now) = (first.key() * MILLISECOND, now_ns());
        if due > now {
            tokio::time::sleep(Duration::from_nanos(due - now)).await;
            continue;
        }
        let mut bucket = first.remove();
        for batch in bucket.chunks(BATCH) {
            tokio::spawn(fire_all(batch.iter().map(|entry| (entry.handler.clone(), entry.due)).collect()));
        }
        let Some(period) = bucket.first().map(|entry| entry.period) else { continue };
        if period == 0 {
            continue;
        }
        // All here have one period, so that the bucket moves as a whole.
        for entry in &mut bucket {
            entry.due += period;
        }
        buckets.entry((due + period) / MILLISECOND).or_default().append(&mut bucket);
    }
}

async fn fire_all(batch: Vec<(Handler, u64)>) {
    for (handler, due) in batch {
        let mut run = handler(due);
        let first = |context: &mut std::task::Context<'_>| Poll::Ready(poll(&mut run, context));
        if let Ok(true) = poll_fn(first).await {
            tokio::spawn(run);
        }
    }
}

fn main() {
    asyncz_peers::run::<InBuckets>();
}
