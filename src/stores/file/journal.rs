//! The journal: each step that was taken, a line, which is the step's commit. The other files say what they said when it was begun.
//! As they were not synced then, the journal before is kept until they are, which is when the next one is begun.
//!
//! A line is a digest of what follows it, a space and JSON. One that is not whole was never committed: a process died while it
//! wrote it. Only who has the lock alone writes.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::system::{self, Sync};
use crate::stores::StoreError;
use crate::task::Digest;

/// The form of the directory that this program writes.
pub(super) const VERSION: u64 = 1;

/// A journal that is read up to some place.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    inode: u64,
    generation: u64,
    /// Where the next line comes.
    len: u64,
    begin: u64,
}

/// What a journal says first.
#[derive(Serialize, Deserialize)]
struct Header {
    v: u64,
    generation: u64,
    /// How long the one before it was.
    after: u64,
}

fn line<T: Serialize>(of: &T) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_string(of);
    let json = json.map_err(|error| StoreError::new("a step can't be written as JSON").with_source(error))?;
    Ok(format!("{:016x} {json}\n", Digest::of(json.as_bytes())).into_bytes())
}

/// The JSON of the first line, and how long that line is; `None`: it is not whole.
fn first_line(bytes: &[u8]) -> Option<(&str, usize)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (digest, json) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
    let is_whole = u64::from_str_radix(digest, 16) == Ok(Digest::of(json.as_bytes()));
    is_whole.then_some((json, end + 1))
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| {
        StoreError::new("its journal has a step that this program does not know: a newer one wrote it")
            .with_source(error)
    })
}

impl Journal {
    /// The journal in a file; `None`: there is none, or none that was finished.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut journal = Self { inode: file.metadata()?.ino(), file, generation: 0, len: 0, begin: 0 };
        let bytes = journal.unread()?;
        let Some((json, begin)) = first_line(&bytes) else { return Ok(None) };
        let header: Header = parse(json)?;
        if header.v != VERSION {
            return Err(StoreError::new(format!(
                "it has version {}, and this program reads version {VERSION}: a newer program wrote it",
                header.v
            )));
        }
        journal.generation = header.generation;
        journal.begin = begin as u64;
        journal.len = journal.begin;
        Ok(Some(journal))
    }

    /// Begins one in the place of another, when all other files say what that said.
    pub(super) fn begin(path: &Path, before: Option<&Self>) -> Result<Self, StoreError> {
        let (generation, after) = before.map_or((1, 0), |before| (before.generation + 1, before.len));
        let header = line(&Header { v: VERSION, generation, after })?;
        let file = system::replace(path, &header, Sync::Now)?;
        system::sync_directory(path.parent().unwrap_or(path))?;
        let len = header.len() as u64;
        Ok(Self { inode: file.metadata()?.ino(), file, generation, len, begin: len })
    }

    /// Whether this one was begun when `before` had been read to its end.
    pub(super) fn follows(&self, before: &Self) -> Result<bool, StoreError> {
        let mut header = vec![0; usize::try_from(self.begin).unwrap_or_default()];
        self.file.read_exact_at(&mut header, 0)?;
        let header: Option<Header> = first_line(&header).map(|(json, _)| parse(json)).transpose()?;
        Ok(header
            .is_some_and(|header| header.generation == before.generation + 1 && header.after == before.len))
    }

    /// Whether the file that stands there is this one, and read to its end.
    pub(super) fn is_read(&self, path: &Path) -> bool {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.ino() == self.inode && found.len() == self.len)
    }

    /// Whether it is this file that others find there.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        system::is_at(&self.file, path)
    }

    /// Whether it has steps.
    pub(super) fn has_steps(&self) -> bool {
        self.len > self.begin
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn unread(&self) -> io::Result<Vec<u8>> {
        let rest = self.file.metadata()?.len().saturating_sub(self.len);
        let mut bytes = vec![0; usize::try_from(rest).unwrap_or(usize::MAX)];
        let mut read = 0;
        // A part that is not whole may be cut off meanwhile.
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], self.len + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The steps that were not read yet. Whoever asks has the lock, so that what is not whole stays so.
    pub(super) fn read_on<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, StoreError> {
        let bytes = self.unread()?;
        let (mut steps, mut at) = (Vec::new(), 0);
        while let Some((json, length)) = first_line(&bytes[at..]) {
            steps.push(parse(json)?);
            at += length;
        }
        self.len += at as u64;
        Ok(steps)
    }

    /// Commits a step; with an error nothing is.
    pub(super) fn append<T: Serialize>(&mut self, step: &T, aside: &Path) -> Result<(), StoreError> {
        let line = line(step)?;
        self.cut(aside)?;
        let written = self.file.write_all_at(&line, self.len).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Where that fails, too, whoever reads it next finds the step there, or cuts it off.
            _ = self.file.set_len(self.len);
            return Err(error.into());
        }
        self.len += line.len() as u64;
        Ok(())
    }

    /// Cuts off what is not whole. A line that ends is no trace of a process that died: it is kept aside.
    fn cut(&self, aside: &Path) -> io::Result<()> {
        let bytes = self.unread()?;
        if bytes.contains(&b'\n') {
            tracing::warn!(target: "asyncz.stores", file = %aside.display(), "a damaged part of a journal is set aside");
            system::append(aside, &bytes)?;
        }
        if bytes.is_empty() { Ok(()) } else { self.file.set_len(self.len) }
    }
}
