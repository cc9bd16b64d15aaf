//! A scheduler with processes, and a look at those.

use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use asyncz::{AsynczConfig, ProcessPoolExecutor, RunFilter, RunRecord, RunStatus, Scheduler, Shutdown, Task};

/// As the test binaries of Rust behave towards those who run them.
pub(super) fn libtest(cases: &[(&str, fn())], arguments: &[&str]) {
    if arguments.contains(&"--list") {
        let ignored = arguments.contains(&"--ignored");
        return cases.iter().filter(|_| !ignored).for_each(|(name, _)| println!("{name}: test"));
    }
    let exact = arguments.contains(&"--exact");
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let fits = |name: &str, wanted: &str| if exact { name == wanted } else { name.contains(wanted) };
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| fits(name, wanted));
    for (name, case) in cases.iter().filter(|(name, _)| is_wanted(name)) {
        case();
        println!("test {name} ... ok");
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(super) fn in_time(case: impl Future<Output = ()>) {
    let case = async { tokio::time::timeout(Duration::from_secs(25), case).await.expect("it ends in time") };
    runtime().block_on(case);
}

#[derive(Clone)]
pub(super) struct Mailer(pub(super) &'static str);

/// The same for the scheduler and its workers, as an application has it.
pub(super) fn config() -> AsynczConfig {
    AsynczConfig::new().provide(Mailer("smtp"))
}

/// A scheduler whose runs all go to processes.
pub(super) struct Tested(pub(super) Scheduler);

impl Tested {
    pub(super) async fn start(executor: ProcessPoolExecutor) -> Self {
        let scheduler = config().executor("default", executor).scheduler();
        scheduler.start().await.unwrap();
        Self(scheduler)
    }

    pub(super) async fn run(&self, task: Task) -> RunRecord {
        let id = self.begin(task).await;
        self.ended(&id).await
    }

    pub(super) async fn begin(&self, task: Task) -> String {
        self.0.add_task(task).await.unwrap().id().to_string()
    }

    /// The task's run, when it has ended for good.
    pub(super) async fn ended(&self, id: &str) -> RunRecord {
        self.until(id, |run| run.status.is_final()).await
    }

    pub(super) async fn running(&self, id: &str) -> RunRecord {
        self.until(id, |run| run.status == RunStatus::Running).await
    }

    pub(super) async fn until(&self, id: &str, is_so: impl Fn(&RunRecord) -> bool) -> RunRecord {
        loop {
            let runs = self.0.runs(RunFilter::new().task(id)).await.unwrap();
            if let Some(run) = runs.into_iter().next().filter(&is_so) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn pid(&self) -> u64 {
        let run = self.run(crate::cases::pid::task()).await;
        run.value.unwrap_or_else(|| panic!("{:?}", run.error)).as_u64().unwrap()
    }

    pub(super) async fn end(self) {
        self.0.shutdown(Shutdown::Now).await.unwrap();
        no_child_is_left().await;
    }
}

pub(super) fn error(run: &RunRecord) -> &str {
    assert_eq!(run.status, RunStatus::Failed, "{run:?}");
    run.error.as_deref().unwrap()
}

/// The processes that this one has started, zombies too.
pub(super) fn children() -> Vec<u64> {
    let own = std::process::id().to_string();
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u64| parent_of(*pid).is_some_and(|parent| parent == own)).collect()
}

fn parent_of(pid: u64) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything: the state, then the parent.
    stat.rsplit(')').next()?.split_whitespace().nth(1).map(str::to_owned)
}

pub(super) async fn no_child_is_left() {
    while !children().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn kill(signal: &str, pid: u64) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid}")).status().unwrap();
    assert!(kill.success());
}

pub(super) struct PidFile(pub(super) String);

impl PidFile {
    pub(super) fn new() -> Self {
        let name = format!("asyncz-{}-{}", std::process::id(), uuid::Uuid::new_v4());
        Self(env::temp_dir().join(name).to_str().unwrap().to_owned())
    }

    pub(super) async fn pid(&self) -> u64 {
        loop {
            if let Some(pid) = fs::read_to_string(&self.0).ok().and_then(|text| text.parse().ok()) {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}
