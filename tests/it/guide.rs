//! The guide's pages: that they hang together. Their snippets are doc tests.

use std::fs;
use std::path::{Path, PathBuf};

/// So many characters of code fit a page of the documentation without scrolling.
const WIDEST_CODE: usize = 95;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages by their files' names.
fn pages() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join("docs/guide")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), read(Path::new("docs/guide").join(name)))).collect()
}

/// The links that are given at a page's end: what stands in brackets, and where it leads.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// The lines of a page that are prose, and those that are shown code.
fn lines(page: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut prose, mut code, mut is_code) = (Vec::new(), Vec::new(), false);
    for line in page.lines() {
        match line.starts_with("```") {
            true => is_code = !is_code,
            false if is_code => code.push(line),
            false => prose.push(line),
        }
    }
    code.retain(|line| *line != "#" && !line.starts_with("# ") && !line.starts_with("#   "));
    (prose, code)
}

#[test]
fn each_page_is_in_the_contents_and_in_the_documentation() {
    let (contents, modules) = (read("docs/guide/README.md"), read("src/guide.rs"));
    let expected = definitions(&contents).map(|(_, file)| file.trim_start_matches("../")).collect::<Vec<_>>();
    for (file, page) in pages().iter().filter(|(file, _)| file != "README.md") {
        assert!(expected.contains(&&**file), "{file} is not in the contents");
        let module = file.trim_end_matches(".md").replace('-', "_");
        assert!(modules.contains(&format!("{module} \"guide/{file}\"")), "{file} is not in src/guide.rs");
        let next = page.split("next: [").nth(1).and_then(|after| after.split(']').next());
        assert!(next.is_some(), "{file} leads to no next page");
    }
}

#[test]
fn each_link_leads_somewhere_in_files_and_in_the_documentation() {
    let elsewhere = [read("src/guide/pages.md"), read("src/guide/names.md")].concat();
    let in_documentation: Vec<_> = definitions(&elsewhere).map(|(name, _)| name).collect();
    for (file, page) in pages() {
        for (name, target) in definitions(&page) {
            assert!(root().join("docs/guide").join(target).exists(), "{file}: [{name}] leads to no file");
            assert!(in_documentation.contains(&name), "{file}: [{name}] is not in src/guide");
            let used = page.matches(&format!("[{name}]")).count();
            assert!(used > 1, "{file}: [{name}] is not used");
        }
        let defined: Vec<_> = definitions(&page).map(|(name, _)| name).collect();
        let (prose, _) = lines(&page);
        for link in in_documentation.iter().filter(|name| !defined.contains(name)) {
            let used = prose.iter().any(|line| line.contains(&format!("[{link}]")));
            assert!(!used, "{file}: [{link}] leads to no file");
        }
    }
}

#[test]
fn code_fits_its_page() {
    for (file, page) in pages() {
        for line in lines(&page).1 {
            let width = line.chars().count();
            assert!(width <= WIDEST_CODE, "{file}: {width} characters: {line}");
        }
    }
}

/// A table breaks its lines at blanks alone: the widest word of each of its columns must find room beside the others.
#[test]
fn tables_fit_their_page() {
    for (file, page) in pages() {
        let mut widest: Vec<usize> = Vec::new();
        for line in page.lines() {
            let Some(row) = line.strip_prefix('|') else {
                widest.clear();
                continue;
            };
            for (column, cell) in row.trim_end_matches('|').replace("\\|", "!").split('|').enumerate() {
                let word = cell.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
                widest.resize(widest.len().max(column + 1), 0);
                widest[column] = widest[column].max(word);
            }
            let width = widest.iter().map(|word| word + 1).sum::<usize>();
            assert!(width <= WIDEST_CODE, "{file}: {widest:?} characters up to the row {row}");
        }
    }
}
