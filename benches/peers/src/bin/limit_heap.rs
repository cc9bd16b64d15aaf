//! The limit of the obvious way: a heap of what comes, one timer, a tokio task for each fire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use asyncz_peers::limit::{Entry, entries};
use asyncz_peers::{Job, Peer, now_ns};

struct Heap(Job, BinaryHeap<Reverse<Entry>>);

impl Peer for Heap {
    const NAME: &str = "limit: heap, a spawn for each";

    async fn prepare(job: Job) -> Self {
        Self(job, BinaryHeap::new())
    }

    async fn add(&mut self) {
        self.1.extend(entries(self.0).map(Reverse));
    }

    async fn go(&mut self) {
        let heap = std::mem::take(&mut self.1);
        tokio::spawn(drive(heap));
    }
}

async fn drive(mut heap: BinaryHeap<Reverse<Entry>>) {
    while let Some(Reverse(first)) = heap.peek() {
        let now = now_ns();
        if first.due > now {
            tokio::time::sleep(Duration::from_nanos(first.due - now)).await;
            continue;
        }
        let Some(Reverse(mut entry)) = heap.pop() else { return };
        tokio::spawn((entry.handler)(entry.due));
        if entry.period > 0 {
            entry.due += entry.period;
            heap.push(Reverse(entry));
        }
    }
}

fn main() {
    asyncz_peers::run::<Heap>();
}
