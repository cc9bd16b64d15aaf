//! Real processes and a real end: this binary again, told by a variable that it is one of them.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use asyncz::{AsynczConfig, Lifespan, Task};

use super::Folder;
use crate::lifespan::fake::say;

const PATH: &str = "ASYNCZ_LOCK_PATH";

/// How often the task of these processes is due.
const EVERY: Duration = Duration::from_millis(50);

/// The child: does nothing where nobody asks.
#[tokio::test]
async fn scene() {
    async fn tick() {
        say("tick");
    }
    let Ok(path) = env::var(PATH) else { return };
    // Not for the test's sake: no child shall outlive a broken one.
    thread::spawn(|| {
        #[expect(clippy::disallowed_methods, reason = "a watchdog for a child process")]
        thread::sleep(Duration::from_secs(60));
        std::process::exit(99);
    });
    let task = Task::from_fn("tick", tick).id("tick").every(EVERY);
    let config =
        AsynczConfig::new().without_registry().lock_path(path).startup_delay(Duration::ZERO).task(task);
    let lifespan = Lifespan::start(config).await.unwrap();
    say("started");
    std::future::pending::<()>().await;
    drop(lifespan);
}

/// A process with a scheduler, killed with the test.
struct Worker(Child);

impl Worker {
    /// Starts one that tells what it says with its number.
    fn start(number: usize, path: &str, told: &mpsc::Sender<(usize, String)>) -> Self {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["lock::processes::scene", "--exact", "--nocapture"]).env(PATH, path);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = told.clone();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send((number, line))));
        Self(child)
    }

    /// As the system does where memory is short: with SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be over already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "processes live in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Which workers tick in this time.
fn ticking(told: &Receiver<(usize, String)>, time: Duration) -> Vec<usize> {
    let end = now() + time;
    let mut ticking = Vec::new();
    loop {
        match told.recv_timeout(end.saturating_duration_since(now())) {
            Ok((worker, line)) if line == "tick" && !ticking.contains(&worker) => ticking.push(worker),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return ticking,
            Err(RecvTimeoutError::Disconnected) => panic!("all workers are gone"),
        }
    }
}

fn wait_for(told: &Receiver<(usize, String)>, word: &str) -> usize {
    loop {
        let (worker, line) = told.recv_timeout(Duration::from_secs(30)).expect("a worker says so");
        if line == word {
            return worker;
        }
    }
}

#[test]
fn one_of_several_processes_runs_and_another_takes_over_within_a_second_of_kill_9() {
    let folder = Folder::new("processes");
    let path = folder.path("{store}.lock");
    let (tell, told) = mpsc::channel();
    let mut workers: Vec<_> = (0..3).map(|number| Worker::start(number, &path, &tell)).collect();
    for _ in 0..3 {
        wait_for(&told, "started");
    }
    let mut alive = vec![0, 1, 2];

    while alive.len() > 1 {
        let holder = wait_for(&told, "tick");
        assert_eq!(ticking(&told, Duration::from_millis(500)), [holder], "one at a time");

        workers[holder].kill();
        let killed = now();
        // What the dead one has said last may still be on its way.
        alive.retain(|worker| *worker != holder);
        let next = loop {
            let worker = wait_for(&told, "tick");
            if worker != holder {
                break worker;
            }
        };
        let took = killed.elapsed();

        assert!(alive.contains(&next));
        assert!(took < Duration::from_secs(1), "it took {took:?}");
    }
    // The file of the dead is there, and no lock.
    assert_eq!(folder.names(), ["default.lock"]);
}
