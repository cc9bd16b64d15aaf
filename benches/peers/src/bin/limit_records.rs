//! What the terms of our own tables cost by themselves: [`limit_buckets`](../limit_buckets/index.html), and each fire asks a
//! trigger, looks whether the task runs already, and leaves an entry in a history. All in one step under one lock.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use asyncz_peers::book::{Book, End, Fire, lock};
use asyncz_peers::limit::{Running, poll};
use asyncz_peers::{Job, Peer};
use chrono::Utc;

const BATCH: usize = 64;

struct Recorded(Job, Arc<Mutex<Book>>);

impl Peer for Recorded {
    const NAME: &str = "limit: buckets and a history";

    async fn prepare(job: Job) -> Self {
        Self(job, Arc::default())
    }

    async fn add(&mut self) {
        lock(&self.1).add(self.0);
    }

    async fn go(&mut self) {
        tokio::spawn(drive(self.1.clone()));
    }
}

async fn drive(book: Arc<Mutex<Book>>) {
    loop {
        let now = Utc::now();
        let (fires, next) = lock(&book).decide(now);
        let mut fires = fires.into_iter().peekable();
        while fires.peek().is_some() {
            tokio::spawn(fire_all(fires.by_ref().take(BATCH).collect(), book.clone()));
        }
        let Some(next) = next else { return };
        tokio::time::sleep((next - Utc::now()).to_std().unwrap_or_default()).await;
    }
}

async fn fire_all(batch: Vec<Fire>, book: Arc<Mutex<Book>>) {
    let mut ends = Vec::with_capacity(batch.len());
    let mut started_at = Utc::now();
    for Fire { task, run, due, handler } in batch {
        let mut future = handler(due);
        let first = poll_fn(|context| Poll::Ready(poll(&mut future, context)));
        let is_pending = first.await;
        let finished_at = Utc::now();
        let has_panicked = is_pending.is_err();
        let end = End { task, run, started_at, finished_at, has_panicked };
        match is_pending {
            Ok(true) => drop(tokio::spawn(rest(future, end, book.clone()))),
            _ => ends.push(end),
        }
        started_at = finished_at;
    }
    let mut book = lock(&book);
    ends.into_iter().for_each(|end| book.end(end));
}

async fn rest(mut future: Running, end: End, book: Arc<Mutex<Book>>) {
    let has_panicked = poll_fn(|context| match poll(&mut future, context) {
        Ok(true) => Poll::Pending,
        ended => Poll::Ready(ended.is_err()),
    })
    .await;
    lock(&book).end(End { finished_at: Utc::now(), has_panicked, ..end });
}

fn main() {
    asyncz_peers::run::<Recorded>();
}
