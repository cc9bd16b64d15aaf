//! What the fuzz targets start from, and what they have found: no input panics, hangs, or answers with the past.

use std::path::Path;

#[path = "../../../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&str)) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = std::fs::read_dir(&directory).expect("the corpus is checked in");
    let mut count = 0;
    for file in files {
        let path = file.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("corpora are text");
        check(&text);
        count += 1;
    }
    assert!(count > 5, "{} is empty", directory.display());
}

#[test]
fn expressions() {
    replay("expression", checks::expression);
}

#[test]
fn fields() {
    replay("fields", checks::fields);
}

#[test]
fn durations() {
    replay("duration", checks::duration);
}

#[test]
fn triggers() {
    replay("trigger", checks::trigger);
}
