//! What this process has used so far (Linux).

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Processor time of all threads.
pub fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it asks for this process");
    let time = |time: TimeVal| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64);
    time(usage.user_time()) + time(usage.system_time())
}

/// Memory in use.
pub fn resident_bytes() -> f64 {
    number(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:") * 1_024.0
}

/// How often threads went to sleep.
pub fn switches() -> f64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let status = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    status.map(|status| number(&status, "voluntary_ctxt_switches:")).sum()
}

fn number(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
