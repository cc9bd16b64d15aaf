//! Tasks in a directory.

mod calls;
mod directory;
mod files;
mod journal;
mod names;
mod state;
mod system;

use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::directory::{Directory, Settings};
use super::crypt::Keys;
use super::users::Users;
use super::{
    Beat, Claim, ClaimOutcome, Edit, EditOutcome, Finish, FinishOutcome, Found, LEASE, NextDue, Prune, Query,
    Renewal, RunFilter, Store, StoreError,
};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskId, TaskRecord};

/// Keeps tasks and their history in a directory, as files that people can read, for the processes of one host.
///
/// ```no_run
/// use asyncz::{AsynczConfig, FileStore};
///
/// let config = AsynczConfig::new().store("default", FileStore::new("/var/lib/app/tasks"));
/// # let _ = config;
/// ```
///
/// `tasks` has a file for each task, `runs` one for the history of each, and `journal` what has happened since those were
/// written, which is a minute ago at most. A decision is in the journal, and on the disk, before anything runs. The
/// directory is made where it is not there, for its owner alone. While a store is open nobody else is to write there; when
/// the last was shut down in order, the files say all, and can be edited.
///
/// Any number of processes of one host may share it: `lock` is locked for each step. A directory that several hosts may
/// share (NFS, SMB, sshfs and the like, as far as Linux tells) is refused, as locks don't hold there.
///
/// It has all that it keeps in memory, too, the history included, in each process: for thousands of tasks, not for a
/// hundred thousand; see [`keep_runs_a_task`](crate::AsynczConfig::keep_runs_a_task). It goes by the clocks of the processes, and
/// is asked each second what others have changed. On Unix alone.
#[derive(Debug)]
pub struct FileStore {
    settings: Settings,
    lease: Duration,
    /// Where work is done: a thread of its own, as files make whoever asks them wait.
    worker: Mutex<Option<Sender<Work>>>,
    users: Users,
}

type Work = Box<dyn FnOnce(&mut Directory) + Send>;

impl FileStore {
    /// A store in this directory. Nothing is made before it is used.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            settings: Settings { directory: directory.into(), keys: Keys::default(), file_system: None },
            lease: LEASE,
            worker: Mutex::default(),
            users: Users::default(),
        }
    }

    /// How long the runs of a scheduler that is not heard of any more are believed to go on. Default: 30 s.
    ///
    /// A shorter one has what a dead process leaves taken over sooner, and a process that only stands still for so long
    /// loses its runs.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The keys that what tasks say and answer is encrypted with: see
    #[cfg_attr(feature = "_sql", doc = "[`SqlStore::encryption_keys`](super::SqlStore::encryption_keys).")]
    #[cfg_attr(not(feature = "_sql"), doc = "`docs/guarantees.md`.")]
    #[must_use]
    pub fn encryption_keys<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.settings.keys = Keys::told(keys);
        self
    }

    /// What the directory is on, for tests that have no such file system: the number that statfs(2) tells, and the name of
    /// the program that makes it, where it is one (`fuse.sshfs`).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn on_file_system(mut self, magic: u64, program: Option<&str>) -> Self {
        self.settings.file_system = Some(system::FileSystem { magic, program: program.map(str::to_owned) });
        self
    }

    /// Has work done in the directory. Dropped, it is not done where it had not begun.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |directory| {
            if !reply.is_closed() {
                // Nobody may wait for it any more.
                _ = reply.send(work(directory));
            }
        }))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::new("the thread of the store has ended")))
    }

    fn send(&self, work: Work) -> Result<(), StoreError> {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(mpsc::SendError(work)) = (match &*worker {
            Some(worker) => worker.send(work),
            None => Err(mpsc::SendError(work)),
        }) else {
            return Ok(());
        };
        let (sender, works) = mpsc::channel::<Work>();
        let mut directory = Directory::new(self.settings.clone());
        let spawned = std::thread::Builder::new()
            .name("asyncz-file".to_owned())
            .spawn(move || works.into_iter().for_each(|work| work(&mut directory)));
        spawned.map_err(|error| StoreError::new("no thread to be had").with_source(error))?;
        let sent = sender.send(work);
        *worker = Some(sender);
        sent.map_err(|_| StoreError::new("the thread of the store has ended"))
    }
}

#[async_trait]
impl Store for FileStore {
    async fn start(&self) -> Result<(), StoreError> {
        self.users.enter();
        self.ask(Directory::open).await
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        if !self.users.leave() {
            return Ok(());
        }
        self.ask(Directory::close).await?;
        // Its thread ends with what was asked meanwhile; whoever asks more has another one.
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.lease)
    }

    async fn put(&self, edits: &[Edit]) -> Result<Vec<EditOutcome>, StoreError> {
        let edits = edits.to_vec();
        self.ask(move |directory| directory.write(|state| state.put(&edits))).await
    }

    async fn load(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        let ids = ids.to_vec();
        let load = move |directory: &mut Directory| {
            directory.read(|state| ids.iter().map(|id| state.kept.record(id).cloned()).collect())
        };
        self.ask(load).await
    }

    async fn query(&self, query: Query) -> Result<Found, StoreError> {
        let find = move |directory: &mut Directory| {
            directory.read(|state| Found {
                tasks: state.kept.query(&query),
                now: None,
                unreadable: state.untold(),
            })
        };
        self.ask(find).await
    }

    async fn claim(&self, by: NodeId, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, StoreError> {
        let claims = claims.to_vec();
        self.ask(move |directory| directory.write(|state| state.claim(by, &claims))).await
    }

    async fn finish(&self, by: NodeId, ends: &[Finish]) -> Result<Vec<FinishOutcome>, StoreError> {
        let ends = ends.to_vec();
        self.ask(move |directory| directory.write(|state| state.finish(by, &ends))).await
    }

    async fn renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        let beat = beat.clone();
        self.ask(move |directory| directory.step(Some(beat.now), |state| state.renew(&beat))).await
    }

    async fn next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let handlers = handlers.clone();
        let look = move |directory: &mut Directory| {
            directory.read(|state| NextDue {
                at: state.kept.next_due(&handlers),
                now: None,
                cancelled: state.kept.cancelled_of(by),
            })
        };
        self.ask(look).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, StoreError> {
        self.ask(move |directory| directory.write(|state| state.cancel(run))).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let filter = filter.clone();
        self.ask(move |directory| directory.read(|state| state.kept.find(&filter))).await
    }

    async fn prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        let prune = *prune;
        self.ask(move |directory| directory.write(|state| state.remove_old(&prune))).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.ask(|directory| directory.read(|state| state.kept.count() + state.aside.len())).await
    }
}
