//! What is linked into a program of several crates: see `tests/linking`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the main workspace builds, so that its dependencies need not be built again.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory")
}

/// Builds both programs, with the versions of the main workspace and without a network.
fn build() {
    let workspace = root().join("tests/linking");
    fs::copy(root().join("Cargo.lock"), workspace.join("Cargo.lock")).expect("both can be had");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--bins", "--target-dir"])
        .arg(target())
        .current_dir(&workspace)
        .output()
        .expect("cargo is there");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// What a program prints.
fn printed(program: &str, expected_tasks: &str) -> String {
    let path = target().join("debug").join(program).with_extension(std::env::consts::EXE_EXTENSION);
    let ran = Command::new(path).arg(expected_tasks).output().expect("it is built");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("it prints text")
}

#[test]
fn a_crate_that_nobody_names_is_missing_until_it_is_named() {
    build();

    let tasks = printed("forgets", "0");
    assert_eq!(tasks.lines().collect::<Vec<_>>(), ["jobs::mail::send", "jobs::news::send"]);

    let told = printed("forgets", "3");
    assert!(told.contains("expect_tasks(3): 2 found"), "{told}");
    assert!(told.contains("write `use its_name as _;`"), "{told}");

    let tasks = printed("remembers", "3");
    let all = ["forgotten::sweep", "jobs::mail::send", "jobs::news::send"];
    assert_eq!(tasks.lines().collect::<Vec<_>>(), all);
}
