//! Real processes on a real store, which are killed, stopped, cut off and replaced while they run; then the ledger is read.
//!
//! ```sh
//! tests/servers -- cargo run --release --example chaos --all-features -- --seconds 60
//! ```
//!
//! `--seconds N`: how long things go wrong on each store (60). `--seed N`: what goes wrong, and when (chosen, and printed).
//! `--store NAME`: only this one of `sqlite`, `file`, `postgres`, `mysql`, `redis`, `mongodb`. `--nodes N`: how many processes (4). `--tasks N`: how many
//! tasks (200). It ends with 1 where a promise was broken.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is about real processes in real time, and people read what it says"
)]

mod checker;
mod node;
mod orchestra;
mod proxy;
mod random;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    seconds: u64,
    seed: u64,
    store: Option<String>,
    nodes: usize,
    tasks: usize,
}

impl Asked {
    fn read(words: &[String]) -> Result<Self> {
        let mut options: BTreeMap<&str, &str> = BTreeMap::new();
        for pair in words.chunks(2) {
            let [name, value] = pair else { anyhow::bail!("{} needs a value", pair[0]) };
            options.insert(name, value);
        }
        let mut number = |name: &str, default: u64| match options.remove(name) {
            None => Ok(default),
            Some(value) => value.parse().with_context(|| format!("{name} {value}: write a number")),
        };
        let asked = Self {
            seconds: number("--seconds", 60)?,
            seed: number("--seed", u64::from(std::process::id()))?,
            nodes: number("--nodes", 4)? as usize,
            tasks: number("--tasks", 200)? as usize,
            store: options.remove("--store").map(str::to_owned),
        };
        match options.keys().next() {
            None => Ok(asked),
            Some(unknown) => {
                anyhow::bail!("{unknown} is not known; known are --seconds --seed --store --nodes --tasks")
            }
        }
    }
}

/// A store to be put to the test.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Where the store is for those who are not disturbed.
    pub(crate) url: String,
    /// It is a server, which can be cut off, and has a clock of its own.
    pub(crate) is_server: bool,
}

fn targets(folder: &std::path::Path) -> Vec<Target> {
    let sqlite = Target {
        name: "sqlite",
        url: format!("sqlite://{}", folder.join("chaos.db").display()),
        is_server: false,
    };
    let file = Target {
        name: "file",
        url: format!("file://{}", folder.join("chaos.store").display()),
        is_server: false,
    };
    let server = |(name, variable): (&'static str, &str)| {
        std::env::var(variable).ok().map(|url| Target { name, url, is_server: true })
    };
    let servers = [
        ("postgres", "ASYNCZ_TEST_POSTGRES"),
        ("mysql", "ASYNCZ_TEST_MYSQL"),
        ("redis", "ASYNCZ_TEST_REDIS"),
        ("mongodb", "ASYNCZ_TEST_MONGODB"),
    ];
    [sqlite, file].into_iter().chain(servers.into_iter().filter_map(server)).collect()
}

/// Shorter than in earnest, so that many lapse.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some("node") => node::run(&words[1..]).await.map(|()| true),
        _ => run_all(&words).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_all(words: &[String]) -> Result<bool> {
    let asked = Asked::read(words)?;
    let folder = std::env::temp_dir().join(format!("asyncz-chaos-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut all_held = true;
    for target in targets(&folder) {
        if asked.store.as_ref().is_some_and(|only| only != target.name) {
            continue;
        }
        println!(
            "{}: seed {}, {} nodes, {} tasks, {} s",
            target.name, asked.seed, asked.nodes, asked.tasks, asked.seconds
        );
        let place = folder.join(target.name);
        std::fs::create_dir_all(&place)?;
        let story = orchestra::play(&asked, &target, &place).await?;
        let verdict = checker::check(&asked, &target, &place, &story).await?;
        println!("{verdict}");
        all_held &= verdict.broken.is_empty();
    }
    match all_held {
        true => std::fs::remove_dir_all(&folder)?,
        false => println!("what the processes wrote is in {}", folder.display()),
    }
    Ok(all_held)
}
