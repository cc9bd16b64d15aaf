//! The history that a store keeps in memory.

use super::RunFilter;
use crate::task::{RunId, RunRecord};

/// The newest entries of each task and of all, oldest first out.
///
/// The entries stand in one array, and each is a link of two chains from old to new: that of all entries and that of its
/// task's. So an entry comes, changes and goes in a few steps, however many there are.
#[derive(Debug)]
pub(super) struct History {
    a_task: usize,
    in_all: usize,
    entries: Vec<Entry>,
    /// Places of entries that were removed.
    free: Vec<u32>,
    all: Chain,
    /// By the task's number in the store.
    of_task: Vec<Chain>,
}

#[derive(Debug)]
struct Entry {
    run: RunRecord,
    task: u32,
    in_all: Link,
    in_task: Link,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
}

#[derive(Clone, Copy, Debug)]
struct Chain {
    oldest: u32,
    newest: u32,
    len: u32,
}

/// No entry.
const NONE: u32 = u32::MAX;
const TRIES: usize = 16;

type LinkOf = fn(&mut Entry) -> &mut Link;
const IN_ALL: LinkOf = |entry| &mut entry.in_all;
const IN_TASK: LinkOf = |entry| &mut entry.in_task;

impl Chain {
    const EMPTY: Self = Self { oldest: NONE, newest: NONE, len: 0 };

    /// Appends an entry; `link` finds its link of this chain.
    fn push(&mut self, at: u32, entries: &mut [Entry], link: LinkOf) {
        *link(&mut entries[at as usize]) = Link { older: self.newest, newer: NONE };
        match self.newest {
            NONE => self.oldest = at,
            newest => link(&mut entries[newest as usize]).newer = at,
        }
        self.newest = at;
        self.len += 1;
    }

    fn remove(&mut self, at: u32, entries: &mut [Entry], link: LinkOf) {
        let Link { older, newer } = *link(&mut entries[at as usize]);
        match older {
            NONE => self.oldest = newer,
            older => link(&mut entries[older as usize]).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => link(&mut entries[newer as usize]).older = older,
        }
        self.len -= 1;
    }
}

impl History {
    /// A history of at most so many entries.
    pub(super) fn new(a_task: usize, in_all: usize) -> Self {
        Self { a_task, in_all, entries: Vec::new(), free: Vec::new(), all: Chain::EMPTY, of_task: Vec::new() }
    }

    /// Adds an entry of the task of this number and answers where it stands, and which task has lost an entry for it.
    pub(super) fn add(&mut self, task: u32, run: RunRecord) -> (u32, Option<u32>) {
        if self.of_task.len() <= task as usize {
            self.of_task.resize(task as usize + 1, Chain::EMPTY);
        }
        let superfluous = self.superfluous(task).map(|at| (at, Some(self.unlink(at))));
        let place = superfluous.or_else(|| Some((self.free.pop()?, None)));
        let (at, loser) = match place {
            Some((at, loser)) => {
                let entry = &mut self.entries[at as usize];
                entry.run = run;
                entry.task = task;
                (at, loser)
            }
            None => {
                let link = Link { older: NONE, newer: NONE };
                self.entries.push(Entry { run, task, in_all: link, in_task: link });
                ((self.entries.len() - 1) as u32, None)
            }
        };
        self.all.push(at, &mut self.entries, IN_ALL);
        self.of_task[task as usize].push(at, &mut self.entries, IN_TASK);
        (at, loser)
    }

    /// Takes an entry out of its chains; answers whose it was.
    fn unlink(&mut self, at: u32) -> u32 {
        let task = self.entries[at as usize].task;
        self.all.remove(at, &mut self.entries, IN_ALL);
        self.of_task[task as usize].remove(at, &mut self.entries, IN_TASK);
        task
    }

    /// The entry in whose place the next one of a task comes. Entries of runs that go on are not superfluous, however old:
    /// they go to the end of the line.
    fn superfluous(&mut self, task: u32) -> Option<u32> {
        let (chain, link) = if self.of_task[task as usize].len as usize >= self.a_task {
            (&mut self.of_task[task as usize], IN_TASK)
        } else if self.entries.len() >= self.in_all {
            (&mut self.all, IN_ALL)
        } else {
            return None;
        };
        // Where nearly all go on, there may be a few entries more.
        for _ in 0..TRIES {
            let oldest = chain.oldest;
            if self.entries[oldest as usize].run.status.is_final() {
                return Some(oldest);
            }
            chain.remove(oldest, &mut self.entries, link);
            chain.push(oldest, &mut self.entries, link);
        }
        None
    }

    /// The entry at this place, where it is still the one of this run.
    pub(super) fn at(&mut self, at: u32, run: RunId) -> Option<&mut RunRecord> {
        self.entries.get_mut(at as usize).map(|entry| &mut entry.run).filter(|entry| entry.id == run)
    }

    /// The entry at this place, which is one of a run that goes on and so is still there.
    pub(super) fn entry(&self, at: u32) -> &RunRecord {
        &self.entries[at as usize].run
    }

    /// As [`entry`](Self::entry), to change it.
    pub(super) fn entry_mut(&mut self, at: u32) -> &mut RunRecord {
        &mut self.entries[at as usize].run
    }

    /// Whether it has nothing of the task of this number.
    pub(super) fn is_empty(&self, task: u32) -> bool {
        self.of_task.get(task as usize).is_none_or(|chain| chain.len == 0)
    }

    /// The entries that a filter asks for, newest first; `task`: the number of the task it asks for.
    pub(super) fn find(&self, filter: &RunFilter, task: Option<u32>) -> Vec<RunRecord> {
        let chain = match task {
            Some(task) => self.of_task.get(task as usize).copied().unwrap_or(Chain::EMPTY),
            None => self.all,
        };
        let next = |at: &u32| {
            let entry = &self.entries[*at as usize];
            let older = if task.is_some() { entry.in_task.older } else { entry.in_all.older };
            (older != NONE).then_some(older)
        };
        let places = std::iter::successors((chain.newest != NONE).then_some(chain.newest), next);
        let wanted =
            places.map(|at| &self.entries[at as usize].run).filter(|run| filter.matches(run)).cloned();
        wanted.take(filter.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// For a store that writes its history down, and prunes it.
#[cfg(all(feature = "file", unix))]
impl History {
    /// Removes the entry at this place; answers the number of its task.
    pub(super) fn remove(&mut self, at: u32) -> u32 {
        let task = self.unlink(at);
        self.free.push(at);
        task
    }

    /// Where the entry of a run of this task stands.
    pub(super) fn find_in_task(&self, task: u32, run: RunId) -> Option<u32> {
        self.chain_of(task).find(|at| self.entry(*at).id == run)
    }

    /// Where the entries of this task stand, newest first.
    pub(super) fn newest_of(&self, task: u32) -> Vec<u32> {
        self.chain_of(task).collect()
    }

    /// How many entries this task has.
    pub(super) fn count(&self, task: u32) -> usize {
        self.of_task.get(task as usize).map_or(0, |chain| chain.len as usize)
    }

    /// Where all entries stand, oldest first.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = u32> {
        let some = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(some(self.all.oldest), move |at| some(self.entries[*at as usize].in_all.newer))
    }

    fn chain_of(&self, task: u32) -> impl Iterator<Item = u32> {
        let some = |at: u32| (at != NONE).then_some(at);
        let newest = self.of_task.get(task as usize).and_then(|chain| some(chain.newest));
        std::iter::successors(newest, move |at| some(self.entries[*at as usize].in_task.older))
    }
}
