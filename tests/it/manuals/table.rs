//! The tables of `docs/guide/from-asyncz.md`: each row links a test, and each link leads to one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A test that a row links: its file, and then its name with blanks, at which a table can break its lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    file: String,
    test: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the tables whose last column is `test`, without their heads.
fn rows(page: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut is_linked = false;
    for line in page.lines() {
        let Some(row) = line.strip_prefix('|') else {
            is_linked = false;
            continue;
        };
        // A bar within code is written `\|`.
        let row = row.trim_end().trim_end_matches('|').replace("\\|", "\u{0}");
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect();
        if cells.last().is_some_and(|cell| cell == "test") {
            is_linked = true;
        } else if is_linked && cells.iter().any(|cell| !cell.starts_with("---")) {
            rows.push(cells);
        }
    }
    rows
}

/// The links of a row's last cell: "`file` name; `file` name".
fn links(row: &[String]) -> Vec<Link> {
    let parts: Vec<_> = row.last().map(|cell| cell.split('`').skip(1).collect()).unwrap_or_default();
    let link = |parts: &[&str]| {
        let name = parts.get(1)?.trim().trim_end_matches(';');
        Some(Link { file: parts[0].to_owned(), test: name.replace(' ', "_") })
    };
    parts.chunks(2).filter_map(link).collect()
}

/// Whether a source has a function of this name, below an attribute that makes it a test.
fn has_test(source: &str, test: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {test}(")) else { return false };
    let above = before.rsplit_once('\n').map_or("", |(above, _)| above);
    let mut attributes = above.lines().rev().take_while(|line| line.trim_start().starts_with("#["));
    attributes.any(|line| line.contains("test]") || line.contains("::test("))
}

#[test]
fn each_row_links_a_test_that_is_there() {
    let rows = rows(&read("docs/guide/from-asyncz.md"));
    assert!(rows.len() > 100, "{} rows: the tables are not found", rows.len());
    for row in rows {
        let links = links(&row);
        assert!(!links.is_empty(), "no test in the row of {}", row[0]);
        for Link { file, test } in links {
            let source = read(Path::new("tests").join(&file));
            assert!(has_test(&source, &test), "the row of {}: there is no test {test} in {file}", row[0]);
        }
    }
}

#[test]
fn each_test_of_the_manuals_is_linked() {
    let linked: BTreeSet<_> =
        rows(&read("docs/guide/from-asyncz.md")).iter().flat_map(|row| links(row)).collect();
    for entry in fs::read_dir(root().join("tests/it/manuals")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if ["mod.rs", "table.rs"].contains(&&*file) {
            continue;
        }
        let source = read(Path::new("tests/it/manuals").join(&file));
        for after in source.split("fn ").skip(1) {
            let test = after.split('(').next().unwrap().to_owned();
            let link = Link { file: format!("it/manuals/{file}"), test };
            if has_test(&source, &link.test) {
                assert!(linked.contains(&link), "no row links {link:?}");
            }
        }
    }
}

#[test]
fn a_row_without_a_test_is_noticed() {
    let page = "| item | test |\n|---|---|\n| `a\\|b` | `it/x.rs` y and so; `it/x.rs` z |\n| c | |\n\n| other |\n|---|\n| d |";
    let rows = rows(page);
    assert_eq!((rows.len(), &*rows[0][0]), (2, "`a|b`"));
    let link = |test: &str| Link { file: "it/x.rs".to_owned(), test: test.to_owned() };
    assert_eq!(links(&rows[0]), [link("y_and_so"), link("z")]);
    assert_eq!(links(&rows[1]), []);
    let source = "#[test]\nfn plain() {}\n#[tokio::test]\nasync fn later() {}\nfn helper() {}\n";
    assert!(has_test(source, "plain") && has_test(source, "later"));
    assert!(!has_test(source, "helper") && !has_test(source, "plai"));
}
