//! What somebody meant who has mistyped a name.

/// The known name that somebody who wrote `name` most likely meant: at most a third of the letters are wrong.
///
/// ```
/// use asyncz_grammar::nearest;
/// assert_eq!(nearest("coalesc", ["coalesce", "max_instances"]), Some("coalesce"));
/// assert_eq!(nearest("colour", ["coalesce", "max_instances"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = name.len().div_ceil(3);
    // Of the others none can be near, and the distance is quadratic.
    let alike = known.into_iter().filter(|known| known.len().abs_diff(name.len()) <= most);
    let (off, known) = alike.map(|known| (distance(name, known), known)).min()?;
    (off <= most).then_some(known)
}

/// How many letters must be added, left out or changed, in bytes: the Levenshtein distance.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
