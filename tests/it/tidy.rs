//! The house rules that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

/// Who may look into whom: a room, and the names at the crate's root that it may use.
const ROOMS: [(&str, &[&str]); 12] = [
    ("triggers", &["Error", "Zone", "triggers", "zone"]),
    // A handler can ask for the scheduler that runs it.
    ("task", &["Error", "Scheduler", "Trigger", "Zone", "clock", "triggers"]),
    ("stores", &["stores", "task"]),
    ("executors", &["clock", "log", "panics", "task"]),
    ("events", &["clock", "executors", "panics", "task"]),
    ("scheduler/machine", &["Trigger", "clock", "events", "executors", "stores", "task", "triggers"]),
    ("log.rs", &["task"]),
    ("lifespan", &["Error", "Scheduler", "SchedulerConfig", "Settings", "async_trait", "scheduler"]),
    ("testing/clock.rs", &["clock"]),
    ("testing/faulty_store.rs", &["clock", "stores", "task"]),
    ("testing/simulation", &["Error", "clock", "scheduler", "stores", "task", "triggers"]),
    ("zone.rs", &["Error"]),
];

/// What is outside the machine's world: with these it would not be pure.
const IMPURE: [&str; 9] =
    ["async ", ".await", "tokio", "Mutex", "RwLock", "Atomic", "HashMap", "HashSet", "clock.now"];

/// Nothing longer: who adds to a file of this length finds the two files in it.
const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a place, but for what is built or kept by git.
fn files(below: &Path) -> Vec<PathBuf> {
    if below.is_file() {
        return vec![below.to_owned()];
    }
    let entries = fs::read_dir(below).unwrap_or_else(|error| panic!("{}: {error}", below.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let kept = paths.filter(|path| !path.ends_with("target") && !path.ends_with(".git"));
    kept.flat_map(|path| files(&path)).collect()
}

fn rust_files(below: &str) -> Vec<(PathBuf, String)> {
    let rust =
        files(&root().join(below)).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The lines of a file that are code.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The names after `crate::` in a line.
fn names_of_the_crate(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let after = &line[at + "crate::".len()..];
        let list = after.strip_prefix('{').map_or(after, |list| list.split('}').next().unwrap_or_default());
        let items: Vec<&str> = if after.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for item in items {
            let name: String = item.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.push(name);
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn each_room_looks_only_into_those_it_may() {
    for (room, allowed) in ROOMS {
        for (path, text) in rust_files(&format!("src/{room}")) {
            for (number, line) in code(&text) {
                for name in names_of_the_crate(line) {
                    assert!(
                        allowed.contains(&name.as_str()),
                        "{}:{number}: `{room}` may not look into `{name}`",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn the_machine_is_pure() {
    for (path, text) in rust_files("src/scheduler/machine") {
        for (number, line) in code(&text) {
            for word in IMPURE {
                assert!(!line.contains(word), "{}:{number}: `{word}` in the machine", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for room in ["src", "macros", "tests", "examples", "benches"] {
        for (path, text) in rust_files(room) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // In pieces, so that this file does not name them itself.
    let forbidden =
        [["/work", "/"], ["/ro", "ot/"], ["arti", "factory"], ["/home", "/"]].map(|pieces| pieces.concat());
    for path in files(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in &forbidden {
            assert!(!text.contains(word.as_str()), "{} contains `{word}`", path.display());
        }
    }
}

#[test]
fn what_stands_in_the_architecture_stands() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in dependencies.lines().filter(|line| line.contains('=')) {
        let name = line.split('=').next().unwrap().trim();
        assert!(
            text.contains(&format!("`{name}`")),
            "ARCHITECTURE.md gives no reason for the dependency {name}"
        );
    }
    for room in fs::read_dir(root().join("src")).unwrap() {
        let name = room.unwrap().file_name().into_string().unwrap();
        assert!(text.contains(name.trim_end_matches(".rs")), "ARCHITECTURE.md does not speak of src/{name}");
    }
}
