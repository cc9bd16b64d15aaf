//! Several processes, of which one schedules a store at a time: whoever holds the store's lock file. The others stand by.

mod file;
mod path;
mod standby;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tracing::Level;

use super::shared::Shared;
use crate::Error;
use crate::log::{Line, Target};
use crate::task::in_words;
use file::LockFile;

pub(super) use path::LockPath;
pub(super) use standby::answer;

/// How often one that stands by tries for the lock.
const TRY: Duration = Duration::from_millis(200);
/// How often one that holds it looks whether the file is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The locks of a scheduler's stores, by their aliases; none where it has no lock path.
#[derive(Debug, Default)]
pub(super) struct Locks {
    locks: Mutex<BTreeMap<Arc<str>, Lock>>,
    /// Whether there are any: nothing else need be looked at where there are none.
    are_there: AtomicBool,
    /// The scheduler ends: what is not claimed by now, others may claim.
    is_ending: AtomicBool,
}

impl Locks {
    /// Whether another process schedules this store.
    pub(super) fn stands_by(&self, alias: &str) -> bool {
        self.are_there.load(Ordering::Acquire)
            && self.locks().get(alias).is_some_and(|lock| !lock.0.holds.load(Ordering::Acquire))
    }

    /// The scheduler ends, and has claimed all that it will.
    pub(super) fn note_end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Lets go of the locks where the scheduler ends: others need not wait for its last runs.
    pub(super) fn release_at_end(&self) {
        if self.is_ending.load(Ordering::Acquire) && self.are_there.load(Ordering::Acquire) {
            self.release_all();
        }
    }

    pub(super) fn release(&self, alias: &str) {
        self.locks().remove(alias);
    }

    fn release_all(&self) {
        self.locks().clear();
        self.are_there.store(false, Ordering::Release);
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Lock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Tries for the locks of all stores, before they start.
    pub(super) fn lock_stores(self: &Arc<Self>) -> Result<LockedStores, Error> {
        let locked = LockedStores(self.clone());
        self.locks.is_ending.store(false, Ordering::Release);
        let aliases: Vec<_> = {
            let mut setup = self.setup();
            setup.fill_in_defaults();
            // One file for two stores is told of where all that is wrong is.
            if setup.lock_mistake().is_some() { Vec::new() } else { setup.stores.keys().cloned().collect() }
        };
        aliases.iter().try_for_each(|alias| self.lock_store(alias))?;
        Ok(locked)
    }

    /// Tries for the lock of a store; whoever does not get it stands by.
    pub(super) fn lock_store(self: &Arc<Self>, alias: &Arc<str>) -> Result<(), Error> {
        let Some(template) = self.setup().lock_path.clone() else { return Ok(()) };
        let path = template.of_store(alias);
        let failed = |source| Error::Lock { path: path.clone(), source };
        let file = LockFile::take(&path).map_err(failed)?;
        let told = Told { shared: Arc::downgrade(self), alias: alias.clone() };
        if file.is_none() {
            told.log(Level::INFO, "another process schedules this store: standing by", None);
        }
        let lock = Lock::keep(path.clone(), file, told).map_err(failed)?;
        self.locks.locks().insert(alias.clone(), lock);
        self.locks.are_there.store(true, Ordering::Release);
        Ok(())
    }
}

impl Shared {
    /// Tries for the lock of a store that is added while the scheduler runs.
    pub(super) fn lock_added_store(self: &Arc<Self>, alias: &Arc<str>) -> Result<LockedStore, Error> {
        let template = self.setup().lock_path.clone();
        if template.is_some_and(|path| !path.names_the_store() && !self.stores().is_empty()) {
            return Err(Error::ImproperlyConfigured(format!(
                "store `{alias}` can't be added: it needs a lock of its own, and there is no `{{store}}` in the lock path"
            )));
        }
        self.lock_store(alias)?;
        Ok(LockedStore { shared: self.clone(), alias: alias.clone(), is_kept: false })
    }
}

/// Lets go of one store's lock when it is dropped, unless the store is kept.
pub(super) struct LockedStore {
    shared: Arc<Shared>,
    alias: Arc<str>,
    is_kept: bool,
}

impl LockedStore {
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for LockedStore {
    fn drop(&mut self) {
        if !self.is_kept {
            self.shared.locks.release(&self.alias);
        }
    }
}

/// Lets go of all locks when it is dropped.
pub(super) struct LockedStores(Arc<Shared>);

impl Drop for LockedStores {
    fn drop(&mut self) {
        self.0.locks.release_all();
    }
}

/// One store's lock, and the thread that keeps it. Dropped, it lets go.
#[derive(Debug)]
struct Lock(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    holds: AtomicBool,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Debug)]
struct State {
    file: Option<LockFile>,
    is_over: bool,
}

impl Lock {
    fn keep(path: PathBuf, file: Option<LockFile>, told: Told) -> std::io::Result<Self> {
        let holds = AtomicBool::new(file.is_some());
        let state = Mutex::new(State { file, is_over: false });
        let kept = Arc::new(Kept { path, holds, state, over: Condvar::new() });
        let keeper = kept.clone();
        std::thread::Builder::new().name("asyncz-lock".to_owned()).spawn(move || keeper.live(&told))?;
        Ok(Self(kept))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.0.state();
        *state = State { file: None, is_over: true };
        self.0.holds.store(false, Ordering::Release);
        self.0.over.notify_one();
    }
}

impl Kept {
    /// The thread's whole life.
    fn live(&self, told: &Told) {
        let mut state = self.state();
        let mut has_failed = false;
        loop {
            let pause = if state.file.is_some() { LOOK } else { TRY };
            let waited = self.over.wait_timeout_while(state, pause, |state| !state.is_over);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.is_over {
                return;
            }
            let looked = self.look(&mut state);
            let failed = looked.is_err();
            match looked {
                Ok(None) => {}
                Ok(Some(holds)) => {
                    self.holds.store(holds, Ordering::Release);
                    told.turned(holds);
                }
                Err(error) if !has_failed => {
                    told.log(Level::ERROR, "the lock file can't be opened, trying again", Some(&error));
                }
                Err(_) => {}
            }
            has_failed = failed;
        }
    }

    /// Tries for the lock, or looks whether it is still one; answers whether it is held now where that has changed.
    fn look(&self, state: &mut State) -> std::io::Result<Option<bool>> {
        match &state.file {
            Some(file) if file.is_at(&self.path) => return Ok(None),
            // Whoever has removed the file, others can't see its lock any more.
            Some(_) => {
                state.file = None;
                return Ok(Some(false));
            }
            None => {}
        }
        state.file = LockFile::take(&self.path)?;
        Ok(state.file.is_some().then_some(true))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is told when a lock comes or goes.
struct Told {
    shared: Weak<Shared>,
    alias: Arc<str>,
}

impl Told {
    fn turned(&self, holds: bool) {
        match holds {
            true => self.log(Level::INFO, "this process schedules this store from now on", None),
            false => {
                self.log(Level::WARN, "the lock file was removed: standing by until it is had again", None)
            }
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.changed(&self.alias);
        }
    }

    fn log(&self, level: Level, message: &str, error: Option<&std::io::Error>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let error = error.map(|error| in_words(error));
        let line = Line { error: error.as_ref().map(|error| error as _), ..Line::default() };
        shared.log_line(level, Target::Store(&self.alias), message, line);
    }
}
