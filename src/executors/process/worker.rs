//! The other end: a process that runs handlers for a scheduler elsewhere.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use super::super::{Job, Threads};
use super::wire::{FromWorker, IS_HERE, Invitation, ToWorker, Token, VARIABLE, WELCOME, Wire};
use crate::clock::{Busy, RealDeadline, block_on};
use crate::task::{Assignment, Ended, Handler, Report, Reports, Run, Surroundings};

/// A process that runs handlers for a [`ProcessPoolExecutor`](crate::ProcessPoolExecutor): what `main` finds at its
/// beginning where it is to be one.
#[derive(Debug)]
pub struct Worker(io::Result<TcpStream>);

/// What this process is, once it has asked.
static ROLE: OnceLock<Role> = OnceLock::new();

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Worker,
    /// A worker has started this process, which has inherited its variable and is none.
    Heir,
}

/// For a scheduler to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// For `main` to return when the scheduler has gone.
const LEAVE: Duration = Duration::from_secs(2);

/// Whether this process is to be a worker: it may not know.
pub(crate) fn is_worker() -> bool {
    match ROLE.get() {
        Some(role) => *role == Role::Worker,
        None => std::env::var_os(VARIABLE).is_some(),
    }
}

impl Worker {
    /// The worker that this process is to be; `None`: it is the application itself.
    ///
    /// A [`ProcessPoolExecutor`](crate::ProcessPoolExecutor) has said so in the variable `ASYNCZ_WORKER`. Processes that a
    /// handler starts inherit that, but are no workers.
    pub fn from_env() -> Option<Self> {
        let invitation = std::env::var(VARIABLE).ok()?;
        match ROLE.get() {
            Some(Role::Heir) => return None,
            Some(Role::Worker) => return Some(Self(Err(io::Error::other("it is one already")))),
            None => {}
        }
        let knocked = knock(&invitation).transpose();
        let role = if knocked.is_some() { Role::Worker } else { Role::Heir };
        _ = ROLE.set(role);
        knocked.map(Self)
    }

    /// Runs handlers until the scheduler lets go of this worker, then returns. Where the scheduler is gone in the middle
    /// of one, the process ends here.
    pub(crate) async fn serve(
        self,
        runtime: Handle,
        handler: impl Fn(&str) -> Option<Handler> + Send + 'static,
        surroundings: impl FnOnce(Weak<dyn Reports>) -> Surroundings,
    ) -> io::Result<()> {
        let stream = self.0?;
        let (outbox, reports) = mpsc::unbounded_channel();
        let outbox: Arc<dyn Reports> = Arc::new(Outbox(outbox));
        let bench = Bench {
            runtime,
            handler: Box::new(handler),
            surroundings: surroundings(Arc::downgrade(&outbox)),
            threads: Threads::elastic("asyncz-blocking"),
            current: None,
        };
        let own = Builder::new_current_thread().enable_all().build()?;
        let (leave, left) = oneshot::channel();
        // Not on the application's runtime: a handler may block that, and is to be ended all the same.
        let live = move || {
            let _outbox = outbox;
            own.block_on(live(stream, bench, reports, leave));
        };
        std::thread::Builder::new().name("asyncz-worker".to_owned()).spawn(live)?;
        // Whether it is told or dropped.
        _ = left.await;
        Ok(())
    }
}

/// Goes to where a worker is expected; `None`: it is there already.
fn knock(invitation: &str) -> io::Result<Option<TcpStream>> {
    let invitation: Invitation = invitation.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(invitation.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(invitation.worker.bytes())?;
    let mut greeting = [0; 1 + Token::LENGTH];
    stream.read_exact(&mut greeting)?;
    let [greeting, token @ ..] = greeting;
    // What follows is done as it says.
    if token != invitation.scheduler.bytes() {
        return Err(io::Error::other("somebody else is there"));
    }
    stream.set_read_timeout(None)?;
    match greeting {
        WELCOME => Ok(Some(stream)),
        IS_HERE => Ok(None),
        _ => Err(io::Error::other("it is greeted in words unknown")),
    }
}

/// Where runs report, one at a time.
#[derive(Debug)]
struct Outbox(mpsc::UnboundedSender<Ended>);

impl Reports for Outbox {
    fn report(&self, report: Report, _: Busy) {
        // Nobody hears it only where the process ends.
        _ = self.0.send(report.ended);
    }
}

type FindHandler = Box<dyn Fn(&str) -> Option<Handler> + Send>;

/// What a worker works with.
struct Bench {
    runtime: Handle,
    handler: FindHandler,
    surroundings: Surroundings,
    threads: Threads,
    current: Option<Run>,
}

/// The thread's whole life, and so the worker's.
async fn live(
    stream: TcpStream,
    mut bench: Bench,
    reports: mpsc::UnboundedReceiver<Ended>,
    mut leave: oneshot::Sender<()>,
) {
    let _deaf = deaf();
    let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::TcpStream::from_std(stream));
    if let Ok(stream) = stream {
        tokio::select! {
            // Whoever has asked for a worker does not want it any more.
            () = leave.closed() => return,
            _ = bench.work(Wire::new(stream), reports) => {}
        }
    }
    if bench.current.is_some() {
        std::process::exit(1);
    }
    if leave.send(()).is_err() {
        return;
    }
    // What `main` still holds may hold it up; nobody is there any more to kill it.
    block_on(RealDeadline::after(LEAVE).passed());
    std::process::exit(0);
}

impl Bench {
    /// `None`: the scheduler is gone.
    async fn work(&mut self, mut wire: Wire, mut reports: mpsc::UnboundedReceiver<Ended>) -> Option<()> {
        wire.say(&FromWorker::Ready).await?;
        loop {
            tokio::select! {
                told = wire.hear() => match (told?, &self.current) {
                    (ToWorker::Run(assignment), None) => {
                        if let Err(why) = self.begin(*assignment) {
                            wire.say(&FromWorker::Ended(Ended::Refused(why))).await?;
                        }
                    }
                    (ToWorker::Cancel, Some(run)) => run.live().cancel(),
                    (ToWorker::Abort, Some(run)) => run.live().abort(),
                    // It has just ended; or, where a second one comes, the other end is not what it should be.
                    (ToWorker::Cancel | ToWorker::Abort, None) => {}
                    (ToWorker::Run(_), Some(_)) => return None,
                },
                Some(ended) = reports.recv() => {
                    self.current = None;
                    wire.say(&FromWorker::Ended(ended)).await?;
                }
            }
        }
    }

    /// Starts a run. The error says what it lacks.
    fn begin(&mut self, assignment: Assignment) -> Result<(), String> {
        const CONFIG: &str = "the configuration that `Worker::run` was given";
        let handler = (self.handler)(&assignment.handler)
            .ok_or_else(|| format!("its handler `{}` is not in {CONFIG}", assignment.handler))?;
        if let Some(missing) = handler.missing(&self.surroundings.provided).first() {
            return Err(format!("it needs {missing}: give it to {CONFIG}, with `state` or `provide`"));
        }
        let run = assignment.into_run(self.surroundings.clone(), handler.call);
        self.current = Some(run.clone());
        let job = Job::new(run);
        let runtime = self.runtime.clone();
        if job.is_blocking() {
            self.threads.run(Box::new(move || {
                let _entered = runtime.enter();
                job.run_blocking();
            }));
        } else {
            drop(runtime.spawn(job.run()));
        }
        Ok(())
    }
}

/// Hears the signals to stop, and does nothing: they go to all processes of a service, and the scheduler knows better what
/// is to be done.
#[cfg(unix)]
fn deaf() -> impl Sized {
    use tokio::signal::unix::{SignalKind, signal};
    [SignalKind::interrupt(), SignalKind::terminate()].map(signal)
}

#[cfg(not(unix))]
fn deaf() {}
