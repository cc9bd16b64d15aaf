//! What tells a server to stop.

use std::{future::pending, io, pin::Pin};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

pub(super) type Given = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What tells a server to stop, and how often it has.
pub(super) struct Stop {
    source: Source,
    heard: usize,
}

enum Source {
    /// SIGINT and SIGTERM, or ctrl-c.
    Os(OsSignals),
    /// A future of the user's, which comes once.
    Given(Given),
    /// The user gave the signal to axum, which keeps it.
    Hidden,
}

impl Stop {
    /// Installs the handlers: from here on, no signal is lost, and none ends the process by itself.
    pub(super) fn os() -> io::Result<Self> {
        Ok(Self::from(Source::Os(OsSignals::install()?)))
    }

    pub(super) fn given(signal: Given) -> Self {
        Self::from(Source::Given(signal))
    }

    pub(super) fn hidden() -> Self {
        Self::from(Source::Hidden)
    }

    fn from(source: Source) -> Self {
        Self { source, heard: 0 }
    }

    /// The next signal. Dropping it loses none.
    pub(super) async fn next(&mut self) {
        match &mut self.source {
            Source::Os(signals) => signals.next().await,
            Source::Given(signal) if self.heard == 0 => signal.await,
            Source::Given(_) | Source::Hidden => pending().await,
        }
        self.heard += 1;
    }

    /// The third signal in all: whoever sends it has lost patience.
    ///
    /// The second one may come just after the draining has ended by itself; it must not cut `shutdown` short.
    pub(super) async fn third(&mut self) {
        // Never polls a given future: it may have panicked, which is how we come here.
        while let Source::Os(signals) = &mut self.source {
            if self.heard >= 3 {
                return;
            }
            signals.next().await;
            self.heard += 1;
        }
        pending().await
    }
}

#[cfg(unix)]
struct OsSignals {
    interrupt: Signal,
    terminate: Signal,
}

#[cfg(unix)]
impl OsSignals {
    fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct OsSignals(CtrlC);

#[cfg(windows)]
impl OsSignals {
    fn install() -> io::Result<Self> {
        ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
