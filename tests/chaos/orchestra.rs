//! What goes wrong, and when.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use asyncz::{Error, RunFilter, Scheduler, SchedulerConfig};

use crate::proxy::Proxy;
use crate::random::Random;
use crate::{Asked, LEASE, Target, node};

/// What happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) kills: u32,
    pub(crate) stops: u32,
    pub(crate) stalls: u32,
    pub(crate) cuts: u32,
    pub(crate) delays: u32,
    pub(crate) database_restarts: u32,
    pub(crate) skewed_nodes: u32,
    /// Tasks that were paused and deleted while all went on.
    pub(crate) extras: u32,
    pub(crate) broken: Vec<String>,
}

/// The processes, and how to start them.
struct Orchestra<'a> {
    asked: &'a Asked,
    target: &'a Target,
    place: &'a Path,
    /// Where the store is for the processes.
    url: String,
    release: u64,
    random: Random,
    nodes: Vec<Child>,
    starts: u32,
    story: Story,
}

/// Lets everything go wrong for as long as was asked; then all comes to rest.
pub(crate) async fn play(asked: &Asked, target: &Target, place: &Path) -> Result<Story> {
    let proxy = match target.is_server {
        true => Some(Proxy::before(port_of(&target.url)?).await?),
        false => None,
    };
    let url = match &proxy {
        Some(proxy) => with_port(&target.url, proxy.port)?,
        None => target.url.clone(),
    };
    let watcher = node::config(&target.url, &place.join("watcher.diary"))?.start_paused(true);
    watcher.start().await?;
    let random = Random(asked.seed);
    let (nodes, story) = (Vec::new(), Story::default());
    let mut orchestra = Orchestra { asked, target, place, url, release: 1, random, nodes, starts: 0, story };
    for _ in 0..asked.nodes {
        let node = orchestra.start()?;
        orchestra.nodes.push(node);
    }
    let extras = Arc::new(Mutex::new(Vec::new()));
    let mut lives = tokio::task::JoinSet::new();
    let (begin, lasting) = (Instant::now(), Duration::from_secs(asked.seconds));
    let mut last_restart = begin;
    while begin.elapsed() < lasting {
        let wait = 300 + orchestra.random.below(700);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if begin.elapsed() > lasting / 2 {
            orchestra.release = 2;
        }
        let what = orchestra.random.below(12);
        match (what, &proxy) {
            (0..5 | 10.., _) => orchestra.kill().await?,
            (5, _) => orchestra.stop().await?,
            (6, _) => orchestra.stall().await?,
            (7, Some(proxy)) => {
                orchestra.story.cuts += 1;
                proxy.cut();
            }
            (8, Some(proxy)) => {
                orchestra.story.delays += 1;
                proxy.delay(Duration::from_millis(50 + orchestra.random.below(300)));
                tokio::time::sleep(Duration::from_secs(1)).await;
                proxy.delay(Duration::ZERO);
            }
            (9, Some(_)) if last_restart.elapsed() > Duration::from_secs(15) => {
                last_restart = Instant::now();
                orchestra.story.database_restarts += u32::from(kill_database(target.name)?);
            }
            _ => {
                orchestra.story.extras += 1;
                let name = format!("x{}", orchestra.story.extras);
                lives.spawn(live_and_die(watcher.scheduler(), name, extras.clone()));
            }
        }
    }
    while let Some(lived) = lives.join_next().await {
        lived?;
    }
    orchestra.release = 2;
    orchestra.replace_all().await?;
    // All that was left by the dead is taken over.
    tokio::time::sleep(LEASE * 2 + Duration::from_secs(6)).await;
    orchestra.stop_all().await?;
    watcher.shutdown().await?;
    let mut story = orchestra.story;
    story.broken.append(&mut extras.lock().expect("nobody panics with it"));
    Ok(story)
}

impl Orchestra<'_> {
    fn start(&mut self) -> Result<Child> {
        self.starts += 1;
        // An older program may be started again in the middle of a deploy.
        let release = if self.release > 1 && self.random.below(4) == 0 { 1 } else { self.release };
        // Only a server's clock is the same for all.
        let is_skewed = self.target.is_server && self.random.below(2) == 0;
        let skew = if is_skewed { self.random.below(20_001) as i64 - 10_000 } else { 0 };
        self.story.skewed_nodes += u32::from(is_skewed);
        self.launch(release, skew)
    }

    fn launch(&self, release: u64, skew_ms: i64) -> Result<Child> {
        let diary: PathBuf = self.place.join(format!("{}.diary", self.starts));
        let log = std::fs::File::create(self.place.join(format!("{}.log", self.starts)))?;
        Command::new(std::env::current_exe()?)
            .arg("node")
            .arg(&self.url)
            .arg(&diary)
            .args([self.asked.tasks.to_string(), release.to_string(), skew_ms.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("no process to be had")
    }

    fn any(&mut self) -> usize {
        self.random.below(self.nodes.len() as u64) as usize
    }

    async fn kill(&mut self) -> Result<()> {
        self.story.kills += 1;
        let which = self.any();
        self.nodes[which].kill()?;
        self.replace(which).await
    }

    /// Stops one as a deploy does.
    async fn stop(&mut self) -> Result<()> {
        self.story.stops += 1;
        let which = self.any();
        signal("TERM", &self.nodes[which])?;
        self.replace(which).await
    }

    async fn replace(&mut self, which: usize) -> Result<()> {
        let away = Duration::from_millis(self.random.below(1_000));
        tokio::time::sleep(away).await;
        let next = self.start()?;
        await_end(std::mem::replace(&mut self.nodes[which], next));
        Ok(())
    }

    /// Lets one sleep for longer than its lease.
    async fn stall(&mut self) -> Result<()> {
        self.story.stalls += 1;
        let which = self.any();
        signal("STOP", &self.nodes[which])?;
        let asleep = LEASE + Duration::from_millis(self.random.below(2_000));
        tokio::time::sleep(asleep).await;
        signal("CONT", &self.nodes[which])
    }

    async fn replace_all(&mut self) -> Result<()> {
        for which in 0..self.nodes.len() {
            self.starts += 1;
            let next = self.launch(2, 0)?;
            signal("TERM", &self.nodes[which])?;
            await_end(std::mem::replace(&mut self.nodes[which], next));
        }
        Ok(())
    }

    async fn stop_all(&mut self) -> Result<()> {
        for mut node in std::mem::take(&mut self.nodes) {
            signal("TERM", &node)?;
            let end = Instant::now() + Duration::from_secs(20);
            while node.try_wait()?.is_none() {
                if Instant::now() > end {
                    self.story.broken.push("a process does not stop when it is told to".to_owned());
                    node.kill()?;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

/// Whoever was started is waited for, or it stays among the processes as a zombie.
fn await_end(mut node: Child) {
    tokio::task::spawn_blocking(move || node.wait());
}

fn signal(name: &str, to: &Child) -> Result<()> {
    Command::new("kill").arg(format!("-{name}")).arg(to.id().to_string()).stderr(Stdio::null()).status()?;
    Ok(())
}

/// Kills the database server, which whoever started it starts again; answers whether it came to that.
fn kill_database(name: &str) -> Result<bool> {
    let variable = format!("ASYNCZ_TEST_{}_PID", name.to_uppercase());
    let Ok(file) = std::env::var(variable) else { return Ok(false) };
    let pid = std::fs::read_to_string(file)?;
    Ok(Command::new("kill").arg("-KILL").arg(pid.trim()).status()?.success())
}

fn port_of(url: &str) -> Result<u16> {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let after_host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    let port = after_host.split_once(':').map_or("", |(_, port)| port);
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("no port in the URL of the server `{}`", after_host))
}

fn with_port(url: &str, port: u16) -> Result<String> {
    Ok(url.replacen(&format!(":{}", port_of(url)?), &format!(":{port}"), 1))
}

/// A task's life: it is added, paused, resumed and deleted, and nothing is decided that must not be.
async fn live_and_die(scheduler: Scheduler, name: String, broken: Arc<Mutex<Vec<String>>>) {
    if let Err(what) = life_of(&scheduler, &name).await {
        broken.lock().expect("nobody panics with it").push(format!("{name}: {what}"));
    }
}

/// Tries again while the store is away.
macro_rules! insist {
    ($call:expr) => {{
        let mut tries = 0;
        loop {
            match $call {
                Err(Error::Store { .. }) if tries < 150 => tries += 1,
                done => break done.map_err(|error| error.to_string()),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }};
}

async fn life_of(scheduler: &Scheduler, name: &str) -> Result<(), String> {
    insist!(match scheduler.add_task(node::extra(name)).await {
        // It was added, and the answer was lost.
        Err(Error::ConflictId { .. }) => Ok(()),
        added => added.map(drop),
    })?;
    pause(2).await;
    insist!(scheduler.pause_task(name).await)?;
    let before = decided(scheduler, name).await?;
    pause(3).await;
    let after = decided(scheduler, name).await?;
    if after != before {
        return Err(format!("while it was paused its decisions went from {before} to {after}"));
    }
    insist!(scheduler.resume_task(name).await)?;
    pause(2).await;
    insist!(match scheduler.delete_task(name).await {
        Err(Error::TaskNotFound { .. }) => Ok(()),
        deleted => deleted,
    })?;
    let before = decided(scheduler, name).await?;
    pause(3).await;
    let after = decided(scheduler, name).await?;
    if after != before {
        return Err(format!("after it was deleted its decisions went from {before} to {after}"));
    }
    Ok(())
}

/// How many occurrences of a task are decided.
async fn decided(scheduler: &Scheduler, name: &str) -> Result<usize, String> {
    let runs = insist!(scheduler.runs(RunFilter::new().task(name)).await)?;
    let mut due: Vec<_> = runs.iter().map(|run| (run.occurrence.generation, run.occurrence.due)).collect();
    due.sort();
    due.dedup();
    Ok(due.len())
}

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
