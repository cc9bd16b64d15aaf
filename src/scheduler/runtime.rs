//! The tokio runtimes that a scheduler lives with.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::Error;

/// Which runtime runs async handlers.
#[derive(Clone, Debug, Default)]
pub(super) enum RunOn {
    /// The one in which the scheduler is started.
    #[default]
    Callers,
    Given(Handle),
    /// One of the scheduler's own.
    Own,
}

/// The runtimes of one start.
#[derive(Debug)]
pub(super) struct Runtimes {
    pub(super) handlers: Handle,
    /// Handlers that block are not to hold back stores, so theirs is the application's where there is one.
    pub(super) stores: Handle,
    _own: Option<OwnRuntime>,
}

impl RunOn {
    pub(super) fn runtimes(self) -> Result<Runtimes, Error> {
        let current = || Handle::try_current().map_err(|_| Error::NoRuntime);
        match self {
            Self::Callers => current().map(Runtimes::of),
            Self::Given(handle) => Ok(Runtimes::of(handle)),
            Self::Own => {
                let own = OwnRuntime::new("asyncz-worker")?;
                let handlers = own.handle();
                let stores = current().unwrap_or_else(|_| handlers.clone());
                Ok(Runtimes { handlers, stores, _own: Some(own) })
            }
        }
    }
}

impl Runtimes {
    fn of(handle: Handle) -> Self {
        Self { handlers: handle.clone(), stores: handle, _own: None }
    }
}

/// A runtime that can be dropped anywhere: it waits for nobody.
#[derive(Debug)]
pub(super) struct OwnRuntime(Option<Runtime>, Handle);

impl OwnRuntime {
    /// A runtime of as many workers as there are cores, named so.
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread().thread_name(name).enable_all().build();
        let runtime = runtime.map_err(Error::NoThread)?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    pub(super) fn handle(&self) -> Handle {
        self.1.clone()
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
