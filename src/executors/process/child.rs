//! A worker process as its scheduler sees it: started, spoken to, ended.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::super::Job;
use super::Settings;
use super::wire::{FromWorker, IS_HERE, Invitation, ToWorker, Token, VARIABLE, WELCOME, Wire};
use crate::clock::RealDeadline;
use crate::task::{Assignment, Ended};

/// A worker that is ready. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    wire: Wire,
    /// Tells those who have only inherited the invitation that they are no workers.
    _door: JoinSet<()>,
}

/// What a worker that was told to end, or has lost its connection, may take to leave.
const LEAVE: Duration = Duration::from_secs(1);
/// From the end of a run's time to its process's: an async handler is dropped at its next await and its worker goes on.
/// Shorter than what a scheduler that shuts down waits for it.
const GRACE: Duration = Duration::from_millis(100);
/// For somebody who knocks to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// So many may do so at once.
const GUESTS: usize = 32;

const HOOK: &str = "`main` must begin with `if let Some(worker) = asyncz::Worker::from_env() { return \
                    worker.run(config()).await; }`, where `config()` makes the `AsynczConfig` that has the handlers";

impl Process {
    /// Starts a worker and waits until it is ready, or somebody calls a halt.
    ///
    /// # Errors
    /// How the run has ended that it was started for.
    pub(super) async fn start(settings: &Settings, halt: impl Future<Output = Ended>) -> Result<Self, Ended> {
        let limit = settings.start_limit;
        let no_process =
            |error: io::Error| Ended::Refused(format!("no worker process is to be had: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_process)?;
        let invitation = Invitation::to(listener.local_addr().map_err(no_process)?);
        let mut child = command(settings, &invitation).and_then(|mut it| it.spawn()).map_err(no_process)?;
        let (came, has_come) = oneshot::channel();
        let mut door = JoinSet::new();
        door.spawn(keep_door(listener, invitation, came));
        let mut has_hook = false;
        let ready = async {
            let stream = tokio::select! {
                Ok(stream) = has_come => stream,
                _ = child.wait() => return None,
            };
            has_hook = true;
            let mut wire = Wire::new(stream);
            matches!(wire.hear().await, Some(FromWorker::Ready)).then_some(wire)
        };
        let late = tokio::select! {
            ready = ready => match ready {
                Some(wire) => return Ok(Self { child, wire, _door: door }),
                None => false,
            },
            () = RealDeadline::after(limit).passed() => true,
            ended = halt => {
                end(child, Duration::ZERO).await;
                return Err(ended);
            }
        };
        let how = end(child, if late { Duration::ZERO } else { LEAVE }).await;
        Err(Ended::Refused(match (has_hook, late) {
            (false, false) => format!("the worker process ended before it was one: {how}; {HOOK}"),
            (false, true) => format!("the worker process did not become one within {limit:?}; {HOOK}"),
            (true, false) => format!("the worker process died before its configuration was ready: {how}"),
            (true, true) => format!("the worker process's configuration was not ready within {limit:?}"),
        }))
    }

    /// Runs a job that has begun; answers how it ended, and the process where it still lives.
    pub(super) async fn run(mut self, job: &Job, halt: impl Future<Output = Ended>) -> (Ended, Option<Self>) {
        let dialogue = async {
            let (mut listener, mut speaker) = self.wire.ends();
            speaker.say(&ToWorker::Run(Box::new(Assignment::of(job.what())))).await?;
            tokio::select! {
                heard = listener.hear() => return heard,
                () = job.what().live().cancelled() => speaker.say(&ToWorker::Cancel).await?,
            }
            listener.hear().await
        };
        let (heard, overdue) = tokio::select! {
            biased;
            heard = dialogue => (heard, None),
            ended = job.overdue() => (None, Some(ended)),
            ended = halt => (None, Some(ended)),
        };
        match (heard, overdue) {
            (Some(FromWorker::Ended(ended)), _) => (ended, Some(self)),
            (_, None) => {
                let how = end(self.child, LEAVE).await;
                (Ended::Returned(Err(format!("the worker process died: {how}"))), None)
            }
            (_, Some(overdue)) => self.cut_short(overdue).await,
        }
    }

    /// Ends a run that may not go on: the handler, or else the process.
    async fn cut_short(mut self, overdue: Ended) -> (Ended, Option<Self>) {
        let dialogue = async {
            // A run out of time is ended by the worker itself, in words that say so.
            if matches!(overdue, Ended::Aborted(_)) {
                self.wire.say(&ToWorker::Abort).await?;
            }
            self.wire.hear().await
        };
        let heard = tokio::select! {
            heard = dialogue => heard,
            () = RealDeadline::after(GRACE).passed() => None,
        };
        if let Some(FromWorker::Ended(ended)) = heard {
            return (ended, Some(self));
        }
        end(self.child, Duration::ZERO).await;
        (overdue, None)
    }

    /// Returns when an idle worker has died, or has lost its mind.
    pub(super) async fn lost(&mut self) {
        let _: Option<FromWorker> = self.wire.hear().await;
    }

    /// Lets an idle worker leave in order.
    pub(super) async fn dismiss(self) {
        // It hears that nobody is there any more.
        drop(self.wire);
        end(self.child, LEAVE).await;
    }
}

/// How to start this very program again.
fn command(settings: &Settings, invitation: &Invitation) -> io::Result<Command> {
    let mut command = Command::new(this_program()?);
    command
        .args(&settings.args)
        .env(VARIABLE, invitation.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // Ctrl-C is the scheduler's to hear: it lets runs come to their end.
    #[cfg(unix)]
    command.process_group(0);
    Ok(command)
}

/// After a deploy the file may be gone, or another program: the system keeps the one that runs.
fn this_program() -> io::Result<PathBuf> {
    let kept = Path::new("/proc/self/exe");
    match std::env::current_exe() {
        Ok(path) if path.exists() || !kept.exists() => Ok(path),
        Ok(_) => Ok(kept.to_owned()),
        Err(error) => Err(error),
    }
}

/// Waits so long for a process to end, then kills it; answers how it ended.
async fn end(mut child: Child, patience: Duration) -> String {
    tokio::select! {
        biased;
        Ok(status) = child.wait() => return in_words(status),
        () = RealDeadline::after(patience).passed() => {}
    }
    // It may have ended this moment, which is told below.
    _ = child.start_kill();
    tokio::select! {
        Ok(status) = child.wait() => in_words(status),
        () = RealDeadline::after(LEAVE).passed() => {
            // Whatever the system is doing for it: it is waited for, but not by the runs to come.
            tokio::spawn(async move { drop(child.wait().await) });
            "it does not even die when killed".to_owned()
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

/// Lets the worker in, and sends all others away.
async fn keep_door(listener: TcpListener, invitation: Invitation, came: oneshot::Sender<TcpStream>) {
    let mut came = Some(came);
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            knocked = listener.accept(), if guests.len() < GUESTS => match knocked {
                Ok((stream, _)) => drop(guests.spawn(introduced(stream, invitation.worker.clone()))),
                // Too many open files, as a rule, which passes.
                Err(_) => RealDeadline::after(GRACE).passed().await,
            },
            Some(guest) = guests.join_next() => {
                let Ok(Some(mut stream)) = guest else { continue };
                let greeting = [&[if came.is_some() { WELCOME } else { IS_HERE }], invitation.scheduler.bytes()];
                if stream.write_all(&greeting.concat()).await.is_ok()
                    && let Some(came) = came.take()
                {
                    // Nobody waits for it any more only where it is killed.
                    _ = came.send(stream);
                }
            }
        }
    }
}

/// Whoever knocks, if it knows the token.
async fn introduced(mut stream: TcpStream, token: Token) -> Option<TcpStream> {
    let mut said = [0; Token::LENGTH];
    tokio::select! {
        read = stream.read_exact(&mut said) => read.ok()?,
        () = RealDeadline::after(INTRODUCTION).passed() => return None,
    };
    stream.set_nodelay(true).ok()?;
    (said == token.bytes()).then_some(stream)
}
