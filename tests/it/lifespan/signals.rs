//! Real signals, sent to a child process: this binary again, told by a variable which scene to play.

use std::{
    env,
    future::{pending, poll_fn},
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use asyncz::{AsynczConfig, EventMask, RunFilter, ServeExt, Task};
use axum::Router;
use futures_core::Stream;
use tokio::sync::Notify;

use super::{
    fake::{Act, Fake, say},
    http::bind,
};

const SCENE: &str = "ASYNCZ_LIFESPAN_SCENE";

/// The child: does nothing where nobody asks for a scene.
#[test]
fn scene() {
    let Ok(scene) = env::var(SCENE) else { return };
    // Not for the test's sake: no child shall outlive a broken one.
    thread::spawn(|| {
        #[expect(clippy::disallowed_methods, reason = "a watchdog for a child process")]
        thread::sleep(Duration::from_secs(30));
        std::process::exit(99);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let result = runtime.block_on(play(&scene));
    say(&format!("{result:?}"));
}

async fn play(scene: &str) -> Result<(), asyncz::Error> {
    let (fake, _) = Fake::new();
    let fake = fake.echo().drain_timeout(Duration::from_secs(3600));
    let (listener, _) = bind().await;
    let server = axum::serve(listener, Router::<()>::new());
    match scene {
        "plain" => server.with_scheduler(fake).await,
        "stuck start" => server.with_scheduler(fake.on("start", Act::Hang)).await,
        "stuck drain" => server.with_scheduler(fake.on("drain", Act::Hang)).await,
        "stuck drain and shutdown" => {
            server.with_scheduler(fake.on("drain", Act::Hang).on("shutdown", Act::Hang)).await
        }
        "slow shutdown" => {
            let told = Arc::new(Notify::new());
            let tell = Arc::clone(&told);
            thread::spawn(move || {
                std::io::stdin().read_line(&mut String::new()).expect("the parent's line");
                tell.notify_one();
            });
            server.with_scheduler(fake.on("shutdown", Act::Until(told))).await
        }
        "ours" => {
            async fn for_ever() {
                pending().await
            }
            let config = AsynczConfig::new().without_registry().drain_timeout(Duration::from_secs(3600));
            let config = config.task(Task::from_fn("for_ever", for_ever));
            let scheduler = config.scheduler();
            scheduler.add_listener(EventMask::TASK_SUBMITTED, |_| say("running"));
            // Which ends at the signal.
            let mut events = Box::pin(scheduler.events());
            tokio::spawn(async move {
                while poll_fn(|context| events.as_mut().poll_next(context)).await.is_some() {}
                say("draining");
            });
            let result = server.with_scheduler(config).await;
            say(scheduler.runs(RunFilter::new()).await?[0].status.as_str());
            result
        }
        "own signal" => server.with_scheduler(fake).shutdown_signal(pending()).await,
        "graceful" => server.with_graceful_shutdown(pending()).with_scheduler(fake).await,
        other => panic!("no scene `{other}`"),
    }
}

struct Played {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Played {
    fn new(scene: &str) -> Self {
        let mut child = Command::new(env::current_exe().expect("this binary"))
            .args(["--exact", "lifespan::signals::scene", "--nocapture"])
            .env(SCENE, scene)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped"));
        Self { child, lines }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line).expect("text");
        (length > 0).then(|| line.trim_end().to_owned())
    }

    #[track_caller]
    fn says(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.line().as_deref(), Some(*expected));
        }
    }

    fn send(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill(1)");
        assert!(sent.success());
    }

    fn ends(&mut self) -> ExitStatus {
        assert_eq!(self.line(), None);
        self.child.wait().expect("it ends")
    }
}

#[test]
fn sigint_and_sigterm_stop_the_server() {
    for signal in ["-INT", "-TERM"] {
        let mut played = Played::new("plain");
        played.says(&["start"]);
        played.send(signal);
        played.says(&["stop_claiming", "drain", "shutdown", "Ok(())"]);
        assert!(played.ends().success());
    }
}

#[test]
fn a_signal_during_start_ends_it_in_order() {
    let mut played = Played::new("stuck start");
    played.says(&["start"]);
    played.send("-TERM");
    played.says(&["cancel_runs", "shutdown", "Ok(())"]);
    assert!(played.ends().success());
}

#[test]
fn a_second_signal_ends_the_draining_at_once() {
    let mut played = Played::new("stuck drain");
    played.says(&["start"]);
    played.send("-TERM");
    played.says(&["stop_claiming", "drain"]);
    played.send("-INT");
    played.says(&["cancel_runs", "shutdown", "Ok(())"]);
    assert!(played.ends().success());
}

#[test]
fn a_second_signal_after_the_draining_leaves_shutdown_its_time() {
    let mut played = Played::new("slow shutdown");
    played.says(&["start"]);
    played.send("-TERM");
    played.says(&["stop_claiming", "drain", "shutdown"]);
    played.send("-TERM");
    played.child.stdin.take().expect("it is piped").write_all(b"go on\n").expect("the child reads");
    played.says(&["shutdown ended", "Ok(())"]);
    assert!(played.ends().success());
}

#[test]
fn a_second_signal_aborts_what_our_scheduler_waits_for() {
    let mut played = Played::new("ours");
    played.says(&["running"]);
    played.send("-TERM");
    played.says(&["draining"]);
    played.send("-INT");
    played.says(&["cancelled", "Ok(())"]);
    assert!(played.ends().success());
}

#[test]
fn a_third_signal_does_not_wait_for_shutdown() {
    let mut played = Played::new("stuck drain and shutdown");
    played.says(&["start"]);
    played.send("-TERM");
    played.says(&["stop_claiming", "drain"]);
    played.send("-TERM");
    played.says(&["cancel_runs", "shutdown"]);
    played.send("-TERM");
    played.says(&["Err(ShutdownCutShort)"]);
    assert!(played.ends().success());
}

#[test]
fn no_signal_handler_is_installed_beside_a_signal_of_the_users() {
    for scene in ["own signal", "graceful"] {
        let mut played = Played::new(scene);
        played.says(&["start"]);
        played.send("-TERM");
        assert_eq!(played.ends().signal(), Some(15), "{scene}");
    }
}
