//! What the files of a task are called: as its id, with a percent code for what a file system may not tell apart, or not take.

use crate::task::{Digest, TaskId};

/// Longer names are cut, and told apart by a digest: most file systems take 255 bytes.
const LONGEST: usize = 180;
const CUT: usize = 140;

/// The name of a task's files, without what follows the dot.
pub(super) fn name_of(id: &TaskId) -> String {
    let mut name = String::with_capacity(id.as_str().len());
    for (at, byte) in id.as_str().bytes().enumerate() {
        match byte {
            // Not capital letters: there are file systems to which they are the same as small ones.
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b':' => name.push(byte.into()),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    if name.len() > LONGEST {
        name.truncate(CUT);
        // Two, as 64 bits are few where somebody else chooses the ids.
        let digest = |salt: &str| Digest::of(format!("{salt}{id}").as_bytes());
        name.push_str(&format!("%%{:016x}{:016x}", digest("a"), digest("b")));
    }
    name
}
