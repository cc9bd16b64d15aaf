//! Who hears of what others have changed in a store, and the task that listens to the store's server for them.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::{ASK, ChangeListener, Changes};
use crate::task::{BoxFuture, RunId};

/// Why nothing more is heard.
pub(super) type Silence = Box<dyn Error + Send + Sync>;

/// Tells the listeners what the server tells, until the connection is lost.
pub(super) type Hear = Box<dyn Fn(Arc<Listeners>) -> BoxFuture<Result<(), Silence>> + Send>;

/// Those who listen to a store in this process.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Tells what this store has changed from what others have.
    name: String,
    listening: Mutex<Vec<ChangeListener>>,
}

impl Listeners {
    /// Tells all of what `teller` has changed. A single one knows what it has done itself.
    pub(super) fn tell(&self, teller: Option<&[u8]>) {
        let mut listening = lock(&self.listening);
        if teller != Some(self.name.as_bytes()) || listening.len() > 1 {
            listening.retain(ChangeListener::tell);
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Hearing {
    listeners: Arc<Listeners>,
    ear: Mutex<Option<JoinHandle<()>>>,
}

impl Default for Hearing {
    fn default() -> Self {
        let name = format!("{:016x}", RunId::boot());
        Self { listeners: Arc::new(Listeners { name, listening: Mutex::default() }), ear: Mutex::default() }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Hearing {
    /// What this store signs its changes with.
    pub(super) fn name(&self) -> &str {
        &self.listeners.name
    }

    /// Has the listener told of what `hear` hears, on the caller's runtime.
    pub(super) fn listen(&self, listener: ChangeListener, hear: impl FnOnce() -> Hear) -> Changes {
        if Handle::try_current().is_err() {
            return Changes::Ask(ASK);
        }
        lock(&self.listeners.listening).push(listener);
        self.hear_on(hear);
        Changes::Told
    }

    /// Hears what the server tells, on the caller's runtime, where somebody listens and nothing hears: the runtime that did
    /// may be gone.
    pub(super) fn hear_on(&self, hear: impl FnOnce() -> Hear) {
        let Ok(runtime) = Handle::try_current() else { return };
        if lock(&self.listeners.listening).is_empty() {
            return;
        }
        let mut ear = lock(&self.ear);
        if ear.as_ref().is_none_or(JoinHandle::is_finished) {
            *ear = Some(runtime.spawn(keep_hearing(self.listeners.clone(), hear())));
        }
    }

    pub(super) fn stop(&self) {
        if let Some(ear) = lock(&self.ear).take() {
            ear.abort();
        }
        lock(&self.listeners.listening).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hears what the server tells, until it is aborted. While nothing can be heard it tells before each try to, each second unless
/// a try takes longer: who is told too often asks in vain, and nothing worse.
async fn keep_hearing(listeners: Arc<Listeners>, hear: Hear) {
    let mut pause = interval(ASK);
    loop {
        pause.tick().await;
        listeners.tell(None);
        if let Err(error) = hear(listeners.clone()).await {
            tracing::debug!(%error, "the store's server can't be listened to; it is asked each second meanwhile");
        }
    }
}
