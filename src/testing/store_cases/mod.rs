//! The cases of [`store_conformance!`](super::store_conformance): what every store promises, mostly through the trait itself.
//!
//! Each is named after its promise, takes what makes a new empty store, and panics where the promise is broken.

mod changes;
mod claims;
mod due;
mod edits;
mod ends;
mod history;
mod leases;
mod records;
mod takeovers;
mod tested;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::Builder;

use crate::Store;
use tested::Tested;

pub use changes::*;
pub use claims::*;
pub use due::*;
pub use edits::*;
pub use ends::*;
pub use history::*;
pub use leases::*;
pub use records::*;
pub use takeovers::*;

thread_local! {
    /// A broken promise must not hang the tests.
    static LIMIT: Cell<Duration> = const { Cell::new(Duration::from_secs(20)) };
}

/// Runs a case with another limit than 20 s, for those who expect that it fails.
pub fn with_limit<T>(limit: Duration, case: impl FnOnce() -> T) -> T {
    LIMIT.set(limit);
    case()
}

/// Makes a store and runs a case on a thread of its own, beside a runtime of two workers; panics where it fails or takes too
/// long, whatever it waits for.
fn run<S: Store>(new: impl AsyncFnOnce() -> S, case: impl AsyncFnOnce(&Tested) + Send + 'static) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let limit = LIMIT.get();
    let store: Arc<dyn Store> = Arc::new(runtime.block_on(new()));
    let handle = runtime.handle().clone();
    let steps = async move || {
        store.start().await.expect("it starts");
        let tested = Tested { store, limit };
        case(&tested).await;
        tested.store.shutdown().await.expect("it is shut down");
    };
    let (ended, has_ended) = mpsc::channel();
    std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| handle.block_on(steps())));
        drop(ended.send(outcome));
    });
    let ended = has_ended.recv_timeout(limit);
    runtime.shutdown_background();
    match ended {
        Ok(outcome) => outcome.unwrap_or_else(|payload| resume_unwind(payload)),
        Err(_) => panic!("the case has not come to its end in {limit:?}"),
    }
}
