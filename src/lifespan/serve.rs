//! The plug into axum's server.

use std::{fmt, future::IntoFuture, io, pin::Pin, sync::Arc};

use axum::serve::{Listener, Serve, WithGracefulShutdown};

use super::{
    run::{self, Switch, Told, run},
    stop::{Given, Stop},
};
use crate::{Error, SchedulerConfig, Settings, scheduler::chosen};

/// Ties a scheduler to the life of `axum::serve`.
///
/// ```no_run
/// use asyncz::ServeExt;
/// # use asyncz::SchedulerConfig;
///
/// # async fn serve(config: impl SchedulerConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let app = axum::Router::<()>::new();
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
/// axum::serve(listener, app).with_scheduler(config).await?;
/// # Ok(()) }
/// ```
///
/// The scheduler starts before the first request is answered; clients that connect meanwhile wait. SIGINT or
/// SIGTERM (ctrl-c where there are none), or the future given to
/// [`shutdown_signal`](WithScheduler::shutdown_signal), begins the end: no new connection is accepted, no new
/// occurrence is claimed, and requests and running tasks get
/// [`drain_timeout`](SchedulerConfig::drain_timeout) to finish. A second signal cuts that short. Then what still runs
/// is cancelled and the scheduler shuts down. A third signal does not wait for that. Once installed, the handlers
/// stay: a program that goes on after its server is no longer ended by a signal.
///
/// A signal that comes while the scheduler starts ends the start: nothing is served, `shutdown` runs, the result is
/// `Ok`.
///
/// # Connections that outlive the server
///
/// axum serves each connection in a task of its own, which dropping the server does not end: a response that streams
/// on after the deadline is cut when the runtime ends, in most programs at the end of `main`. It does not hold up
/// anything before that.
///
/// # After `with_graceful_shutdown`
///
/// axum does not tell when the signal given to
/// [`with_graceful_shutdown`](axum::serve::Serve::with_graceful_shutdown) fires, so occurrences are claimed until
/// the last connection has ended, the drain timeout holds for tasks only, and no signal handler is installed.
/// Prefer [`shutdown_signal`](WithScheduler::shutdown_signal), which does what you'd expect of both.
///
/// ```compile_fail,E0599
/// use asyncz::{SchedulerConfig, ServeExt};
///
/// async fn serve(listener: tokio::net::TcpListener, app: axum::Router, config: impl SchedulerConfig) {
///     let server = axum::serve(listener, app).with_graceful_shutdown(std::future::pending());
///     server.with_scheduler(config).shutdown_signal(std::future::pending());
/// }
/// ```
pub trait ServeExt: Sized {
    /// Starts the scheduler with the server and stops it with it.
    fn with_scheduler(self, config: impl SchedulerConfig) -> WithScheduler<Self>;

    /// The same with the scheduler that the settings name, or with none where they disable it.
    ///
    /// Settings that enable a scheduler without naming one are [`Error::ImproperlyConfigured`] when the server is
    /// awaited, before anything is served.
    fn with_settings(self, settings: &(impl Settings + ?Sized)) -> WithScheduler<Self>;
}

impl<L, M, S> ServeExt for Serve<L, M, S> {
    fn with_scheduler(self, config: impl SchedulerConfig) -> WithScheduler<Self> {
        WithScheduler::new(self, Ok(Arc::new(config)))
    }

    fn with_settings(self, settings: &(impl Settings + ?Sized)) -> WithScheduler<Self> {
        WithScheduler::named(self, settings)
    }
}

impl<L, M, S, F> ServeExt for WithGracefulShutdown<L, M, S, F> {
    fn with_scheduler(self, config: impl SchedulerConfig) -> WithScheduler<Self> {
        WithScheduler::new(self, Ok(Arc::new(config)))
    }

    fn with_settings(self, settings: &(impl Settings + ?Sized)) -> WithScheduler<Self> {
        WithScheduler::named(self, settings)
    }
}

/// An axum server with a scheduler: await it. Made by [`ServeExt`].
///
/// The result is the start's error, or else the server's, or else the shutdown's; what is not returned is logged.
/// A panic of the server or the scheduler is resumed after the shutdown.
///
/// # Cancel safety
///
/// Dropped while it serves or drains (the other arm of a `select!`), it cancels what runs and shuts the scheduler
/// down in the background. Dropped before it was polled, it has started nothing.
#[must_use = "an axum server does nothing unless it is awaited"]
pub struct WithScheduler<S> {
    server: S,
    config: Result<Arc<dyn SchedulerConfig>, Error>,
    switch: Switch,
    signal: Option<Given>,
}

impl<S> WithScheduler<S> {
    fn new(server: S, config: Result<Arc<dyn SchedulerConfig>, Error>) -> Self {
        Self { server, config, switch: Switch::On, signal: None }
    }

    fn named(server: S, settings: &(impl Settings + ?Sized)) -> Self {
        Self::new(server, chosen(settings).map(|config| Arc::new(config) as Arc<dyn SchedulerConfig>))
    }

    /// Whether the scheduler runs (default: true). False serves without it: it is neither started nor shut down.
    ///
    /// True does not overrule settings that disable it.
    pub fn enable_scheduler(mut self, enabled: bool) -> Self {
        self.switch = if enabled { Switch::On } else { Switch::Off };
        self
    }

    /// The configuration, unless it is a wrong one that is needed.
    fn config(
        config: Result<Arc<dyn SchedulerConfig>, Error>,
        switch: Switch,
    ) -> Result<Arc<dyn SchedulerConfig>, Error> {
        match switch {
            Switch::On => config,
            Switch::Off => Ok(config.unwrap_or_else(|_| Arc::new(None::<Box<dyn SchedulerConfig>>))),
        }
    }
}

impl<L, M, S> WithScheduler<Serve<L, M, S>> {
    /// Stops when the future ends, in place of SIGINT and SIGTERM, whose handlers are not installed then.
    ///
    /// It is polled from the start on: one that ends before the scheduler has started ends the start. As it ends
    /// once, there is no second signal.
    pub fn shutdown_signal(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signal = Some(Box::pin(signal));
        self
    }
}

type Running = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl<L, M, S> IntoFuture for WithScheduler<Serve<L, M, S>>
where
    L: Listener,
    Serve<L, M, S>: Send + 'static,
    WithGracefulShutdown<L, M, S, Given>: IntoFuture<Output = io::Result<()>, IntoFuture: Send>,
{
    type Output = Result<(), Error>;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        let Self { server, config, switch, signal } = self;
        let serve: run::Serve =
            Box::new(|told| Box::pin(server.with_graceful_shutdown(until(told)).into_future()));
        Box::pin(async move {
            let config = Self::config(config, switch)?;
            let stop = match signal {
                Some(signal) => Stop::given(signal),
                // Before the start, which may take long: without a handler a signal would end the process at once.
                None => Stop::os().map_err(Error::Signal)?,
            };
            run(config, switch, stop, serve).await
        })
    }
}

impl<L, M, S, F> IntoFuture for WithScheduler<WithGracefulShutdown<L, M, S, F>>
where
    L: Listener,
    WithGracefulShutdown<L, M, S, F>: IntoFuture<Output = io::Result<()>, IntoFuture: Send> + Send + 'static,
{
    type Output = Result<(), Error>;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        let Self { server, config, switch, signal: _ } = self;
        let serve: run::Serve = Box::new(|_| Box::pin(server.into_future()));
        Box::pin(async move {
            let config = Self::config(config, switch)?;
            run(config, switch, Stop::hidden(), serve).await
        })
    }
}

fn until(told: Told) -> Given {
    // An error is a dropped sender: the server is going, and axum's signal task shall not outlive it.
    Box::pin(async move { _ = told.await })
}

impl<S> fmt::Debug for WithScheduler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithScheduler").field("switch", &self.switch).finish_non_exhaustive()
    }
}
