//! The file system: what is made there, and on which ones nothing is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Makes a directory that is its owner's alone, and those above it, where they are not there.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file that is its owner's alone, or makes it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// What the name of a file ends with that is not finished.
pub(super) const UNFINISHED: &str = ".tmp";

/// Whether what is written is on the disk when the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    Now,
    /// The system writes it when it sees fit, and a power cut may leave anything.
    Later,
}

/// Writes a file as a whole: it is there with all that is in it, or it is as it was. That it is there is kept for good when its
/// directory is [synced](sync_directory), too.
pub(super) fn replace(path: &Path, bytes: &[u8], sync: Sync) -> io::Result<File> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    if sync == Sync::Now {
        file.sync_all()?;
    }
    std::fs::rename(&unfinished, path)?;
    Ok(file)
}

/// Appends to a file, or makes it; it is on the disk later.
pub(super) fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Whether a file has lines alone: the last one has its end, or there is none.
pub(super) fn has_whole_lines(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    let (mut last, length) = ([b'\n'], file.metadata()?.len());
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == [b'\n'])
}

/// Has a file on the disk, if it is there.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file?.sync_all(),
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Keeps for good which files a directory has.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A lock that is held on a file, for as long as this is.
#[derive(Debug)]
pub(super) struct Held(File);

impl Held {
    /// Waits for it: `alone`, or beside others who only read.
    pub(super) fn wait(file: &File, alone: bool) -> io::Result<Self> {
        let operation = if alone { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
        rustix::io::retry_on_intr(|| flock(file, operation))?;
        Ok(Self(file.try_clone()?))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It can't be refused, and the system takes it from a process that ends.
        _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Whether it is this file that others find there.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let number = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (ours, found) = (file.metadata().map(number), std::fs::metadata(path).map(number));
    matches!((ours, found), (Ok(ours), Ok(found)) if ours == found)
}

/// What Linux knows a kind of file system by (statfs(2)), and its name where it is a program that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileSystem {
    pub(super) magic: u64,
    pub(super) program: Option<String>,
}

/// Several hosts see the same files there, and a lock may hold back only those of one. The numbers are those of Linux
/// (linux/magic.h, and the modules of their own).
const SHARED: [(u64, &str); 18] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0xaad7_aaea, "PanFS"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
];
const FUSE: u64 = 0x6573_5546;
/// Programs that bring files from elsewhere; others, such as those that read a foreign disk, are fine.
const PROGRAMS: [&str; 18] = [
    "sshfs",
    "rclone",
    "s3fs",
    "mount-s3",
    "mountpoint-s3",
    "gcsfuse",
    "goofys",
    "glusterfs",
    "ceph-fuse",
    "cephfs",
    "blobfuse",
    "blobfuse2",
    "davfs",
    "curlftpfs",
    "smbnetfs",
    "juicefs",
    "seaweedfs",
    "mfs",
];

impl FileSystem {
    /// The one that a path is on, or that it would be made on; `None`: this system can't be asked.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let is_there = |path: &&Path| path.as_os_str().is_empty() || path.exists();
        let path = path.ancestors().find(is_there).filter(|path| !path.as_os_str().is_empty());
        let path = path.unwrap_or(Path::new("."));
        let magic = u64::from(rustix::fs::statfs(path)?.f_type as u32);
        let program = if magic == FUSE { program_of(std::fs::metadata(path)?.dev()) } else { None };
        Ok(Some(Self { magic, program }))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of(_: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// Its name, where several hosts may share it.
    pub(super) fn shared(&self) -> Option<String> {
        let by_magic =
            SHARED.iter().find(|(magic, _)| *magic == self.magic).map(|(_, name)| (*name).to_owned());
        let program = self.program.as_deref().filter(|_| self.magic == FUSE);
        let by_program = program.filter(|program| PROGRAMS.contains(&program.trim_start_matches("fuse.")));
        by_magic.or_else(|| by_program.map(str::to_owned))
    }
}

/// The kind of the file system on this device, such as `fuse.sshfs`: in proc_pid_mountinfo(5) the third field is the device,
/// and the kind stands behind a dash.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn program_of(device: u64) -> Option<String> {
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device))?;
    mount.split_once(" - ")?.1.split(' ').next().map(str::to_owned)
}
