//! Handlers in processes of their own, seen through a scheduler.
//!
//! The workers are this very program, so it has a `main` of its own, which lists and runs its cases as libtest does. They
//! look at processes by `/proc`.

#![expect(clippy::disallowed_methods, reason = "processes take real time")]
#![expect(clippy::print_stdout, reason = "it says what it does")]
#![expect(clippy::unwrap_used, reason = "a case that can't go on has failed")]

mod cases;
mod tested;

use std::process::ExitCode;
use std::{env, thread};

use asyncz::testing::executor_cases::{self, Places};
use asyncz::{AsynczConfig, ProcessPoolExecutor, Task, TaskContext, Worker};

use cases::{CASES, be_a_parent};
use tested::{config, libtest, runtime};

macro_rules! promises {
    ($($name:ident)*) => {
        &[$((
            concat!("conformance::", stringify!($name)),
            || executor_cases::$name(ProcessPoolExecutor::new(2).args(["conformance"]), Places::AtMost(2)),
        )),*]
    };
}

/// The promises of executors whose cases share no memory with their handlers. Their handlers are closures, so that a worker
/// has its own of the same names.
const CONFORMANCE: &[(&str, fn())] = promises![
    a_panic_harms_only_its_run
    handlers_find_the_runtime
    a_run_can_be_told_to_stop
    a_run_that_goes_on_is_aborted
    it_can_be_started_again
];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["exits"] => return ExitCode::from(3),
        ["no hook"] => {
            let started = runtime().block_on(config().scheduler().start());
            return started.map_or(ExitCode::from(4), |()| ExitCode::from(5));
        }
        ["never ready"] => loop {
            thread::park();
        },
        ["worker?"] => {
            println!("{}", Worker::from_env().is_some());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    if let Some(worker) = Worker::from_env() {
        let config = match arguments[..] {
            ["conformance"] => conformance_config(),
            ["poor"] => AsynczConfig::new(),
            ["strange"] => AsynczConfig::new().without_registry(),
            _ => config(),
        };
        let worked = match arguments[..] {
            ["without runtime"] => worker.run_blocking(config),
            _ => runtime().block_on(worker.run(config)),
        };
        return worked.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    match arguments[..] {
        ["parent"] => runtime().block_on(be_a_parent()),
        _ => libtest(&[CASES, CONFORMANCE].concat(), &arguments),
    }
    ExitCode::SUCCESS
}

fn conformance_config() -> AsynczConfig {
    fn panics() {
        panic!("again")
    }
    async fn panics_later() {
        panic!("again")
    }
    fn found() -> Result<(), String> {
        tokio::runtime::Handle::try_current().map(drop).map_err(|_| "no runtime".to_owned())
    }
    async fn stops(ctx: TaskContext) -> Result<&'static str, String> {
        ctx.cancelled().await;
        Ok("in order")
    }
    let mut config = AsynczConfig::new().without_registry();
    for n in 0..4 {
        config = config
            .task(Task::from_fn(format!("blocking-{n}"), panics))
            .task(Task::from_fn(format!("async-{n}"), panics_later))
            .task(Task::from_fn(format!("for ever {n}"), std::future::pending::<()>))
            .task(Task::from_fn(format!("round {n}"), || ()));
    }
    config
        .task(Task::from_fn("well", || ()))
        .task(Task::from_fn("well too", || async {}))
        .task(Task::from_fn("next", || ()))
        .task(Task::from_fn("blocking", found))
        .task(Task::from_fn("async", || async { found() }))
        .task(Task::from_fn("stops", stops))
}
