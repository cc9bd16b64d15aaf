//! A directory, as one process sees it: it reads what others have written, and takes its own steps, each under the lock.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::Answered;
use super::files;
use super::journal::Journal;
use super::state::{Change, State};
use super::system::{self, FileSystem, Held};
use crate::stores::StoreError;
use crate::stores::crypt::Keys;
use crate::task::TaskId;

/// A longer journal is begun anew when all other files say what it said.
const LONGEST_JOURNAL: u64 = 4 << 20;
/// And so is one after this time, so that people who look into the files see nothing old.
const OLDEST_JOURNAL: TimeDelta = TimeDelta::seconds(60);

/// Where a directory is, and what its store was told.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) directory: PathBuf,
    pub(super) keys: Keys,
    /// What a test says of its file system, in the place of the system.
    pub(super) file_system: Option<FileSystem>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Directory {
    settings: Settings,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    lock: File,
    journal: Journal,
    state: State,
    /// Since when the other files are as they are, by the clock of the schedulers; `None`: that was somebody else.
    written_at: Option<DateTime<Utc>>,
}

impl Directory {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, open: None }
    }

    /// Makes the directory, where there is none, and reads it.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        self.within(|_| Ok(()))
    }

    /// Looks at what is kept.
    pub(super) fn read<T>(&mut self, look: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        self.within(|(path, open)| {
            if !open.journal.is_read(&path.join(JOURNAL)) {
                let _held = open.hold(path, false)?;
                open.catch_up(path)?;
            }
            Ok(look(&mut open.state))
        })
    }

    /// Takes a step. It is committed when this returns; with an error it may be.
    pub(super) fn write<T>(&mut self, call: impl FnOnce(&mut State) -> Answered<T>) -> Result<T, StoreError> {
        self.step(None, call)
    }

    /// As [`write`](Self::write), at a time by which old files are told.
    pub(super) fn step<T>(
        &mut self,
        now: Option<DateTime<Utc>>,
        call: impl FnOnce(&mut State) -> Answered<T>,
    ) -> Result<T, StoreError> {
        self.within(|(path, open)| {
            let _held = open.hold(path, true)?;
            open.catch_up(path)?;
            let (answer, changes) = call(&mut open.state)?;
            if !changes.is_empty() {
                open.journal.append(&changes, &path.join(DAMAGED))?;
            }
            let is_old = now.is_some_and(|now| now - *open.written_at.get_or_insert(now) >= OLDEST_JOURNAL);
            if open.journal.len() > LONGEST_JOURNAL || is_old {
                // The step is committed: nothing is lost where that fails.
                match open.write_files(path) {
                    Ok(()) => open.written_at = now,
                    Err(error) => tracing::warn!(
                        target: "asyncz.stores", directory = %path.display(), %error,
                        "the files of a store can't be brought up to date; its journal goes on"
                    ),
                }
            }
            Ok(answer)
        })
    }

    /// Brings all files up to date, and lets go of them: where nobody else is at work they say all.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        if self.open.is_some() {
            self.within(|(path, open)| {
                let held = open.hold(path, true)?;
                open.catch_up(path)?;
                open.write_files(path)?;
                drop(held);
                open.sync_files(path)
            })?;
        }
        self.open = None;
        Ok(())
    }

    /// Does something in the open directory. After an error all is read anew: what is in memory may not be what is written.
    fn within<T>(
        &mut self,
        work: impl FnOnce((&Path, &mut Open)) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = &self.settings.directory;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.settings).map_err(|error| failure(path, &error))?,
        };
        let done = work((path, &mut open)).map_err(|error| failure(path, &error))?;
        self.open = Some(open);
        Ok(done)
    }
}

/// An error with the place, and with all that caused it.
fn failure(path: &Path, error: &StoreError) -> StoreError {
    let mut message = format!("the store in `{}` can't be used: {error}", path.display());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        message += &format!(": {error}");
        source = error.source();
    }
    StoreError::new(message)
}

const LOCK: &str = "lock";
const JOURNAL: &str = "journal";
const BEFORE: &str = "journal.before";
const DAMAGED: &str = "journal.damaged";

impl Open {
    fn new(settings: &Settings) -> Result<Self, StoreError> {
        let path = &settings.directory;
        let seal = settings.keys.seal()?;
        let file_system = match &settings.file_system {
            Some(told) => Some(told.clone()),
            None => FileSystem::of(path)?,
        };
        if let Some(name) = file_system.and_then(|file_system| file_system.shared()) {
            return Err(StoreError::new(format!(
                "it is on {name}, which several hosts may share, and whose locks don't hold back all of them: choose a \
                 directory on a disk of this host, or for several hosts a store in a database"
            )));
        }
        system::make_directory(path)?;
        let lock = system::open(&path.join(LOCK))?;
        let held = Held::wait(&lock, true)?;
        if !system::is_at(&lock, &path.join(LOCK)) {
            return Err(StoreError::new("its lock file was replaced meanwhile"));
        }
        let (journal, state) = load(path, State::new(seal))?;
        let mut open = Self { lock, journal, state, written_at: None };
        let key = open.state.seal.check(open.state.key.as_deref())?;
        files::make_directories(path)?;
        if let Some(key) = key {
            let change = Change::Key(key);
            open.journal.append(&[&change], &path.join(DAMAGED))?;
            open.state.apply(change);
        }
        drop(held);
        Ok(open)
    }

    /// Waits for the lock.
    fn hold(&self, path: &Path, alone: bool) -> Result<Held, StoreError> {
        let held = Held::wait(&self.lock, alone)?;
        match system::is_at(&self.lock, &path.join(LOCK)) {
            true => Ok(held),
            false => Err(StoreError::new("its lock file was removed or replaced")),
        }
    }

    /// Reads what others have written.
    fn catch_up(&mut self, path: &Path) -> Result<(), StoreError> {
        let journal = path.join(JOURNAL);
        if !self.journal.is_at(&journal) {
            // It is still there for us, and nobody writes there any more.
            self.read_on()?;
            let next = Journal::open(&journal)?;
            let next = next.ok_or_else(|| StoreError::new("its journal was removed or damaged"))?;
            let follows = next.follows(&self.journal)?;
            self.written_at = None;
            if follows {
                self.journal = next;
                self.state.dirty = Default::default();
            } else {
                let seal = self.state.seal.clone();
                (self.journal, self.state) = load(path, State::new(seal))?;
                return Ok(());
            }
        }
        self.read_on()
    }

    fn read_on(&mut self) -> Result<(), StoreError> {
        for step in self.journal.read_on::<Vec<Change>>()? {
            step.into_iter().for_each(|change| self.state.apply(change));
        }
        Ok(())
    }

    /// Has all other files say what the journal says, and begins a new one.
    ///
    /// A process may die at any place of it: the journals say the same, and more. The files are not synced, which would hold
    /// everybody up for a second: this journal is kept until they are. Those of the one before it are on the disk by now,
    /// as a rule, so that it takes no time to make sure of it.
    fn write_files(&mut self, path: &Path) -> Result<(), StoreError> {
        if self.journal.has_steps() || self.state.is_restored {
            if let Some(mut before) = Journal::open(&path.join(BEFORE))? {
                files::sync(path, &touched(&mut before)?)?;
            }
            files::write(path, &mut self.state)?;
            if self.state.is_restored {
                files::sync(path, &self.state.dirty.files())?;
                self.state.is_restored = false;
            }
            std::fs::rename(path.join(JOURNAL), path.join(BEFORE))?;
            self.journal = Journal::begin(&path.join(JOURNAL), Some(&self.journal))?;
            self.state.dirty = Default::default();
        }
        Ok(())
    }

    /// Makes sure that the files are on the disk, and removes the journal before. Nobody waits for it.
    fn sync_files(&self, path: &Path) -> Result<(), StoreError> {
        let Some(mut before) = Journal::open(&path.join(BEFORE))? else { return Ok(()) };
        files::sync(path, &touched(&mut before)?)?;
        let _held = self.hold(path, true)?;
        // Unless somebody else has begun another one meanwhile.
        if before.is_at(&path.join(BEFORE)) {
            system::remove(&path.join(BEFORE))?;
        }
        Ok(())
    }
}

/// The tasks whose files a journal has changed.
fn touched(journal: &mut Journal) -> Result<BTreeSet<TaskId>, StoreError> {
    let steps = journal.read_on::<Vec<Change>>()?;
    Ok(steps.iter().flatten().filter_map(Change::task).collect())
}

/// Reads a directory as a whole. Whoever asks has the lock.
fn load(path: &Path, mut state: State) -> Result<(Journal, State), StoreError> {
    let entries = files::read(path, &mut state)?;
    let journal = path.join(JOURNAL);
    let mut before = Journal::open(&path.join(BEFORE))?;
    let steps = before.as_mut().map(Journal::read_on).transpose()?.unwrap_or_default();
    let mut journal = match Journal::open(&journal)? {
        Some(journal) => journal,
        None => {
            if journal.exists() {
                std::fs::rename(&journal, path.join(DAMAGED))?;
            }
            Journal::begin(&journal, before.as_ref())?
        }
    };
    state.restore(entries, steps, journal.read_on()?);
    Ok((journal, state))
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::new("the system refuses it").with_source(error)
    }
}
