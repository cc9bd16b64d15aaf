//! A scheduler that writes down what is done with it, and goes wrong where it is told to.

use std::{
    collections::HashMap,
    future::pending,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use asyncz::{Error, SchedulerConfig, async_trait};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// What a step does beside being written down.
pub(crate) enum Act {
    Fail,
    Panic,
    Hang,
    /// Waits, and writes down its end too.
    Until(Arc<Notify>),
}

pub(crate) struct Fake {
    log: Log,
    acts: HashMap<&'static str, Act>,
    drain_timeout: Duration,
    echo: bool,
}

/// What has happened so far, in order.
#[derive(Clone)]
pub(crate) struct Log(watch::Sender<Vec<String>>);

impl Log {
    pub(crate) fn push(&self, step: impl Into<String>) {
        self.0.send_modify(|steps| steps.push(step.into()));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub(crate) async fn until(&self, step: &str) {
        let mut steps = self.0.subscribe();
        let seen = soon(steps.wait_for(|steps| steps.iter().any(|s| s == step))).await;
        drop(seen.expect("the log itself holds a sender"));
    }
}

impl Fake {
    pub(crate) fn new() -> (Self, Log) {
        let log = Log(watch::Sender::default());
        let fake = Self {
            log: log.clone(),
            acts: HashMap::new(),
            drain_timeout: Duration::from_secs(10),
            echo: false,
        };
        (fake, log)
    }

    pub(crate) fn on(mut self, step: &'static str, act: Act) -> Self {
        self.acts.insert(step, act);
        self
    }

    pub(crate) fn drain_timeout(mut self, limit: Duration) -> Self {
        self.drain_timeout = limit;
        self
    }

    /// Writes each step to stderr too, for a parent process.
    #[cfg(all(feature = "axum", unix))]
    pub(crate) fn echo(mut self) -> Self {
        self.echo = true;
        self
    }

    fn push(&self, step: String) {
        if self.echo {
            say(&step);
        }
        self.log.push(step);
    }

    async fn step(&self, step: &'static str) -> Result<(), Error> {
        self.push(step.to_owned());
        match self.acts.get(step) {
            None => Ok(()),
            Some(Act::Fail) => Err(Error::other(format!("{step} went wrong"))),
            Some(Act::Panic) => panic!("{step} panicked"),
            Some(Act::Hang) => pending().await,
            Some(Act::Until(open)) => {
                open.notified().await;
                self.push(format!("{step} ended"));
                Ok(())
            }
        }
    }

    async fn quiet(&self, step: &'static str) {
        self.step(step).await.expect("only start and shutdown can fail");
    }
}

#[async_trait]
impl SchedulerConfig for Fake {
    async fn start(&self) -> Result<(), Error> {
        self.step("start").await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.step("shutdown").await
    }

    async fn stop_claiming(&self) {
        self.quiet("stop_claiming").await;
    }

    async fn drain(&self) {
        self.quiet("drain").await;
    }

    async fn cancel_runs(&self) {
        self.quiet("cancel_runs").await;
    }

    fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }
}

/// Turns a hang into a failure.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it should have ended long ago")
}

/// What a task panicked with.
pub(crate) async fn panic_of<T>(task: tokio::task::JoinHandle<T>) -> String {
    let Err(error) = soon(task).await else { panic!("it should have panicked") };
    let payload = error.into_panic();
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a panic with a message")).to_owned(),
    }
}

pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is open");
}

/// The messages logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Messages(Arc<Mutex<Vec<String>>>);

impl Messages {
    pub(crate) fn here() -> (Self, tracing::subscriber::DefaultGuard) {
        let messages = Self::default();
        let guard = tracing::subscriber::set_default(messages.clone());
        (messages, guard)
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        self.0.lock().expect("no panic while it is held").iter().any(|message| message.contains(part))
    }
}

impl Subscriber for Messages {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().expect("no panic while it is held").push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
