//! A lock file: whoever has locked it holds it, and the system takes the lock from a process that dies. So a file that was
//! left behind is no lock. It is never removed, as a lock on a removed file holds nobody back; nor is anything written to
//! it, as its name may lead elsewhere.

use std::fs::File;
use std::io;
use std::path::Path;

/// A file that this process has locked.
#[derive(Debug)]
pub(super) struct LockFile(
    #[cfg_attr(not(all(feature = "lock", unix)), expect(dead_code, reason = "never had"))] File,
);

#[cfg(all(feature = "lock", unix))]
impl LockFile {
    /// Locks the file, and makes it where there is none; `None`: somebody else has it.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        use rustix::fs::{FlockOperation, flock};
        use rustix::io::Errno;

        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Unless it was removed between the two.
        let file = Self(file);
        Ok(file.is_at(path).then_some(file))
    }

    /// Whether it is this file that others find there.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;

        let number = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let (ours, found) = (self.0.metadata().map(number), std::fs::metadata(path).map(number));
        matches!((ours, found), (Ok(ours), Ok(found)) if ours == found)
    }
}

/// The group of processes that this one is in.
#[cfg(all(feature = "lock", unix))]
pub(super) fn process_group() -> i64 {
    rustix::process::getpgrp().as_raw_nonzero().get().into()
}

/// The process that has started this one.
#[cfg(all(feature = "lock", unix))]
pub(super) fn parent() -> i64 {
    std::os::unix::process::parent_id().into()
}

#[cfg(not(all(feature = "lock", unix)))]
impl LockFile {
    pub(super) fn take(_: &Path) -> io::Result<Option<Self>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "lock_path needs the cargo feature \"lock\", and Unix",
        ))
    }

    pub(super) fn is_at(&self, _: &Path) -> bool {
        false
    }
}

#[cfg(not(all(feature = "lock", unix)))]
pub(super) fn process_group() -> i64 {
    0
}

#[cfg(not(all(feature = "lock", unix)))]
pub(super) fn parent() -> i64 {
    0
}
