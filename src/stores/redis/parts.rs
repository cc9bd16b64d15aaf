//! What is asked of the server in parts, so that no script holds up others for long.

use std::collections::HashSet;

/// A script that is asked for so much, fifty claims of a run each, takes about a millisecond: it is to stay below 5 on a slow machine,
/// too, and where another program has the processor for a while.
const HEAVIEST: usize = 250;

/// The items in parts, by what each weighs. One that is too heavy is a part of its own; items of one key never come together.
pub(super) fn parts<T>(
    items: &[T],
    weight: impl Fn(&T) -> usize,
    key: impl Fn(&T) -> Option<u64>,
) -> Vec<&[T]> {
    let (mut parts, mut first, mut heavy, mut keys) = (Vec::new(), 0, 0, HashSet::new());
    for (at, item) in items.iter().enumerate() {
        let (weight, key) = (weight(item), key(item));
        let is_new = key.is_none_or(|key| keys.insert(key));
        if at > first && (heavy + weight > HEAVIEST || !is_new) {
            parts.push(&items[first..at]);
            (first, heavy) = (at, 0);
            keys = key.into_iter().collect();
        }
        heavy += weight;
    }
    if first < items.len() {
        parts.push(&items[first..]);
    }
    parts
}
