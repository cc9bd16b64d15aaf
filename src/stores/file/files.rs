//! The files that people read: one for each task, one for the history of each, and one about the directory itself.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::journal::VERSION;
use super::names::name_of;
use super::state::{Change, Dirty, Entry, State};
use super::system::{self, Sync};
use crate::stores::{NodeRecord, StoreError};
use crate::task::{RunId, TaskId};

const ABOUT: &str = "store.json";
const TASKS: &str = "tasks";
const RUNS: &str = "runs";

/// What is said of the directory itself.
#[derive(Serialize, Deserialize)]
struct About {
    v: u64,
    /// See [`Change::Key`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default)]
    nodes: Vec<NodeRecord>,
}

/// The file of a task's history: a line for each entry, the last of which counts, and for what was removed.
#[derive(Clone, Debug, Default)]
pub(super) struct HistoryFile {
    lines: usize,
    /// Lines that can't be read. They are kept in a file beside when this one is written anew.
    strange: Vec<String>,
}

/// Makes the directories in it, and removes what was not finished.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    for name in [TASKS, RUNS] {
        let directory = path.join(name);
        system::make_directory(&directory)?;
        for file in fs::read_dir(&directory)? {
            let file = file?.path();
            if file.extension() == Some(OsStr::new(&system::UNFINISHED[1..])) {
                system::remove(&file)?;
            }
        }
    }
    Ok(())
}

/// Reads all files, and answers the entries of the history. What is none of ours is passed over, what can't be read is set
/// aside.
pub(super) fn read(path: &Path, state: &mut State) -> Result<Vec<Entry>, StoreError> {
    if let Some(about) = read_file(&path.join(ABOUT))? {
        read_about(&about, state)?;
    }
    for (name, bytes) in read_all(&path.join(TASKS), "json")? {
        match serde_json::from_slice(&bytes) {
            Ok(file) => state.put_task(name, file),
            Err(error) => state.set_aside(name, None, format!("its file is no JSON: {error}"), None),
        }
    }
    let mut entries = Vec::new();
    for (name, bytes) in read_all(&path.join(RUNS), "jsonl")? {
        let (file, read) = read_history(&bytes);
        if !file.strange.is_empty() {
            tracing::warn!(
                target: "asyncz.stores", file = %path.join(RUNS).join(&name).display(), lines = file.strange.len(),
                "lines of a history can't be read; they are kept"
            );
        }
        state.histories.insert(name, file);
        entries.extend(read);
    }
    Ok(entries)
}

fn read_about(about: &[u8], state: &mut State) -> Result<(), StoreError> {
    let no_about = |error| StoreError::new(format!("its `{ABOUT}` can't be read")).with_source(error);
    let version: serde_json::Value = serde_json::from_slice(about).map_err(no_about)?;
    match version["v"].as_u64() {
        Some(VERSION) => {}
        found => {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            return Err(StoreError::new(format!(
                "it has version {found}, and this program reads version {VERSION}: update the program"
            )));
        }
    }
    let about: About = serde_json::from_value(version).map_err(no_about)?;
    state.key = about.key;
    about.nodes.into_iter().for_each(|node| state.apply(Change::Node(node)));
    Ok(())
}

fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The files with this ending, by their names without it, in order.
fn read_all(directory: &Path, ending: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    let files = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        files => files?,
    };
    for file in files {
        let path = file?.path();
        let name = path.file_stem().and_then(OsStr::to_str);
        let Some(name) = name.filter(|_| path.extension() == Some(OsStr::new(ending))) else { continue };
        if let Some(bytes) = read_file(&path)? {
            found.push((name.to_owned(), bytes));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn read_history(bytes: &[u8]) -> (HistoryFile, Vec<Entry>) {
    let mut file = HistoryFile::default();
    let mut entries: HashMap<RunId, Entry> = HashMap::new();
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // Behind the last end of a line stands nothing, or what the journal has as a whole.
    lines.pop();
    for line in lines {
        file.lines += 1;
        match serde_json::from_slice(line) {
            Ok(Change::Run(entry)) => drop(entries.insert(entry.run.id, entry)),
            Ok(Change::Pruned { runs, .. }) => runs.iter().for_each(|run| drop(entries.remove(run))),
            _ => file.strange.push(String::from_utf8_lossy(line).into_owned()),
        }
    }
    (file, entries.into_values().collect())
}

/// Writes all that the journal says otherwise. It is on the disk when it is [synced](sync).
pub(super) fn write(path: &Path, state: &mut State) -> Result<(), StoreError> {
    let dirty = std::mem::take(&mut state.dirty);
    let written = write_dirty(path, state, &dirty);
    state.dirty = dirty;
    written
}

fn write_dirty(path: &Path, state: &mut State, dirty: &Dirty) -> Result<(), StoreError> {
    let directory = path.join(TASKS);
    for id in &dirty.tasks {
        write_task(&directory, state, id)?;
    }
    let directory = path.join(RUNS);
    let tasks: BTreeSet<&TaskId> = dirty.runs.keys().chain(dirty.pruned.keys()).collect();
    for task in tasks {
        write_history(&directory, state, dirty, task)?;
    }
    let about = About { v: VERSION, key: state.key.clone(), nodes: state.kept.nodes() };
    system::replace(&path.join(ABOUT), &pretty(&about)?, Sync::Now)?;
    Ok(system::sync_directory(path)?)
}

/// Has the files of these tasks on the disk.
pub(super) fn sync(path: &Path, tasks: &BTreeSet<TaskId>) -> io::Result<()> {
    for name in tasks.iter().map(name_of) {
        system::sync(&path.join(TASKS).join(format!("{name}.json")))?;
        system::sync(&path.join(RUNS).join(format!("{name}.jsonl")))?;
    }
    system::sync_directory(&path.join(TASKS))?;
    system::sync_directory(&path.join(RUNS))
}

fn write_task(directory: &Path, state: &State, id: &TaskId) -> Result<(), StoreError> {
    let name = name_of(id);
    let path = directory.join(format!("{name}.json"));
    let file = match (state.kept.record(id), state.aside.get(&name)) {
        (Some(record), _) => Some(state.file_of(record)?),
        (None, Some(aside)) if aside.file.is_none() => return Ok(()),
        (None, Some(aside)) => aside.file.clone(),
        (None, None) => None,
    };
    match file {
        Some(file) => drop(system::replace(&path, &pretty(&file)?, Sync::Later)?),
        None => system::remove(&path)?,
    }
    Ok(())
}

fn write_history(
    directory: &Path,
    state: &mut State,
    dirty: &Dirty,
    task: &TaskId,
) -> Result<(), StoreError> {
    let name = name_of(task);
    let path = directory.join(format!("{name}.jsonl"));
    let mut file = state.histories.remove(&name).unwrap_or_default();
    let mut changes: Vec<Change> = Vec::new();
    for run in dirty.runs.get(task).into_iter().flatten() {
        changes.extend(state.entry(task, *run)?.map(Change::Run));
    }
    let pruned = |runs: &Vec<RunId>| Change::Pruned { task: task.clone(), runs: runs.clone() };
    changes.extend(dirty.pruned.get(task).map(pruned));
    let live = state.kept.runs_of(task).len();
    // A process may have died while it wrote there.
    let is_torn = !system::has_whole_lines(&path)?;
    let is_long = file.lines + changes.len() > 2 * live + MOST_OLD_LINES;
    if live == 0 || is_long || is_torn || !file.strange.is_empty() {
        if !file.strange.is_empty() {
            let lines: String = file.strange.iter().map(|line| format!("{line}\n")).collect();
            system::append(&directory.join(format!("{name}.unreadable")), lines.as_bytes())?;
        }
        let entries = state.entries_of(task)?;
        file = HistoryFile { lines: entries.len(), ..Default::default() };
        match entries.is_empty() {
            true => return Ok(system::remove(&path)?),
            // What it had before is not in the journal.
            false => {
                let lines = lines_of(entries.into_iter().map(Change::Run))?;
                system::replace(&path, &lines, Sync::Now)?;
            }
        }
    } else {
        file.lines += changes.len();
        system::append(&path, &lines_of(changes)?)?;
    }
    state.histories.insert(name, file);
    Ok(())
}

/// So many lines more than twice what they say, and the file of a history is written anew.
const MOST_OLD_LINES: usize = 100;

fn lines_of(changes: impl IntoIterator<Item = Change>) -> Result<Vec<u8>, StoreError> {
    let mut lines = Vec::new();
    for change in changes {
        serde_json::to_writer(&mut lines, &change).map_err(no_json)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn pretty<T: Serialize>(of: &T) -> Result<Vec<u8>, StoreError> {
    let mut text = serde_json::to_vec_pretty(of).map_err(no_json)?;
    text.push(b'\n');
    Ok(text)
}

fn no_json(error: serde_json::Error) -> StoreError {
    StoreError::new("a file can't be written as JSON").with_source(error)
}
