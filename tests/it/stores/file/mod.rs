//! `FileStore`: what stands in its directory, and what it does about what others put there.

mod conformance;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::stores::FileStore;

/// A directory that is made by whoever uses it, and gone with the test.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static DIRECTORIES: AtomicU64 = AtomicU64::new(0);
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        Self(std::env::temp_dir().join(format!("asyncz-file-{}-{since:x}-{number}", std::process::id())))
    }

    pub(crate) fn store(&self) -> FileStore {
        FileStore::new(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Where it was not made there is none.
        _ = std::fs::remove_dir_all(&self.0);
    }
}
