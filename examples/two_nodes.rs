//! Two processes share twenty tasks; one is killed in the middle of a run, and the other takes over.
//!
//! `cargo run --example two_nodes --features sqlite`, or with a URL of another database behind `--`.

#![expect(clippy::print_stdout, reason = "it shows what happens")]
#![expect(clippy::disallowed_methods, reason = "it is about real processes in real time")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use asyncz::{AsynczConfig, Provide, SchedulerConfig, SqlStore, Task, TaskContext};

/// After so long without a word from a process what it had is taken over. 30 s unless said: this one is in a hurry.
const LEASE: Duration = Duration::from_secs(5);

/// How many runs there were in this process.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicU32>);

async fn tick(Provide(runs): Provide<Runs>) {
    runs.0.fetch_add(1, Ordering::Relaxed);
}

/// Takes ten seconds.
async fn long(ctx: TaskContext) {
    println!("the long run begins, attempt {}", ctx.attempt());
    ctx.sleep(Duration::from_secs(10)).await;
    println!("the long run ends, attempt {}", ctx.attempt());
}

/// One of the two processes.
async fn node(url: &str) -> Result<(), asyncz::Error> {
    let runs = Runs::default();
    let mut config =
        AsynczConfig::new().store("default", SqlStore::new(url).lease(LEASE)).provide(runs.clone());
    for n in 1..=20 {
        let every_second = Task::from_fn("tick", tick).id(format!("tick-{n}")).every(Duration::from_secs(1));
        config = config.task(every_second.replace_existing(true));
    }
    let long = Task::from_fn("long", long).id("long").every(Duration::from_secs(30));
    let first = asyncz::chrono::Utc::now() + Duration::from_secs(3);
    config = config.task(long.next_run_time(first).replace_existing(true));
    config.start().await?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("{} runs in the last second", runs.0.swap(0, Ordering::Relaxed));
    }
}

/// Starts a process, whose lines are told with its name.
fn start(name: &'static str, url: &str, tell: Sender<(&'static str, String)>) -> std::io::Result<Child> {
    let program = std::env::current_exe()?;
    let mut node = Command::new(program).args(["node", url]).stdout(Stdio::piped()).spawn()?;
    let printed = node.stdout.take().map(BufReader::new);
    std::thread::spawn(move || {
        for line in printed.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
            _ = tell.send((name, line));
        }
    });
    Ok(node)
}

/// Prints what the processes say until one says so; answers which.
fn watch(said: &Receiver<(&'static str, String)>, until: &str) -> &'static str {
    for (name, line) in said {
        println!("{name}: {line}");
        if line.contains(until) {
            return name;
        }
    }
    unreachable!("the processes go on until they are killed")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let [word, url] = &words[..]
        && word == "node"
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return Ok(runtime.block_on(node(url))?);
    }
    let file = std::env::temp_dir().join(format!("asyncz-two-nodes-{}.db", std::process::id()));
    let url = words.first().cloned().unwrap_or_else(|| format!("sqlite://{}", file.display()));

    let (tell, said) = channel();
    let mut nodes = [("anna", start("anna", &url, tell.clone())?), ("bert", start("bert", &url, tell)?)];
    let busy = watch(&said, "the long run begins");
    watch(&said, "runs in the last second");
    println!("{busy} is killed.");
    for (_, node) in nodes.iter_mut().filter(|(name, _)| *name == busy) {
        node.kill()?;
        node.wait()?;
    }
    let heir = watch(&said, "the long run begins, attempt 2");
    println!("{heir} has taken over.");
    watch(&said, "the long run ends, attempt 2");
    for (_, node) in &mut nodes {
        node.kill()?;
        node.wait()?;
    }
    for end in ["db", "db-wal", "db-shm"] {
        _ = std::fs::remove_file(file.with_extension(end));
    }
    Ok(())
}
