//! One layer of a configuration: nested maps and dotted keys become one flat map, and go over what was there before.

use std::collections::BTreeMap;

use asyncz_grammar::nearest;
use serde_json::{Map, Value};

use super::{Configuration, Entry, Source, keys};

/// What keys of ours begin with.
const PREFIX: &str = "asyncz";

impl Configuration {
    /// Reads a layer whose keys begin with `asyncz`.
    pub(super) fn add_layer(&mut self, values: Value, source: &Source) {
        let pairs = match values {
            Value::Null => return,
            Value::Object(map) => map.into_iter().collect(),
            Value::Array(items) => match items.into_iter().map(pair).collect::<Option<Vec<_>>>() {
                Some(pairs) => pairs,
                None => return self.no_map(source),
            },
            _ => return self.no_map(source),
        };
        let mut flat = Flat::default();
        for (key, value) in pairs {
            flat.put(key, value);
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            flat.entries.into_iter().partition(|(key, _)| own(key).is_some());
        self.problems.extend(flat.doubles.iter().map(|key| format!("{key}: it is given twice")));
        self.look_at_others(others.iter().map(|(key, _)| &**key), ours.is_empty(), source);
        let ours = ours.into_iter().filter_map(|(key, value)| Some((own(&key)?.to_owned(), value)));
        self.merge(ours.collect(), source);
    }

    /// Goes over what was there before.
    pub(super) fn merge(&mut self, layer: Vec<(String, Value)>, source: &Source) {
        for (key, value) in &layer {
            self.replace_part(key, value);
        }
        for (key, value) in layer {
            if key.is_empty() {
                self.problems.extend(must_be_map(&value, source));
                continue;
            }
            let below = format!("{key}.");
            let is_in_the_way = |known: &str| known.starts_with(&below) || is_below(&key, known);
            self.entries.retain(|known, _| !is_in_the_way(known));
            self.entries.insert(key, Entry { value, source: source.clone() });
        }
    }

    /// Forgets what earlier layers said of a store or an executor that becomes one of another type: options of the one mean
    /// nothing to the other.
    fn replace_part(&mut self, key: &str, value: &Value) {
        let Some((part, "type" | "class")) = key.rsplit_once('.') else { return };
        let is_part = part
            .split_once('.')
            .is_some_and(|(kind, alias)| matches!(kind, "stores" | "executors") && !alias.contains('.'));
        let same = self.entries.get(key).is_some_and(|known| known.value == *value);
        if is_part && !same {
            self.entries.retain(|known, _| !is_below(known, part));
        }
    }

    fn no_map(&mut self, source: &Source) {
        self.problems.push(format!("{}a configuration is a map of keys to values", source.place()));
    }

    /// Keys of others are theirs, unless they look like ones of ours that were mistyped.
    fn look_at_others<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a str>,
        nothing_is_ours: bool,
        source: &Source,
    ) {
        let place = source.place();
        for key in keys {
            let first = key.split('.').next().unwrap_or_default();
            let looks_ours = nearest(&first.to_lowercase(), [PREFIX]).is_some();
            let lacks_prefix = *source == Source::Code && nothing_is_ours && keys::is_known_root(first);
            if looks_ours {
                self.problems.push(format!("{place}there is no key `{key}`: keys begin with `{PREFIX}.`"));
            } else if lacks_prefix {
                self.problems.push(format!("there is no key `{key}`: did you mean `{PREFIX}.{key}`?"));
            }
        }
    }
}

/// What is wrong with all of ours being this.
fn must_be_map(value: &Value, source: &Source) -> Option<String> {
    (!says_nothing(value)).then(|| format!("{}{PREFIX}: write a map of keys to values", source.place()))
}

/// An empty map, or in YAML a key with nothing behind it.
pub(super) fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// The key behind the prefix, where it is one of ours.
fn own(key: &str) -> Option<&str> {
    match key.strip_prefix(PREFIX) {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('.'),
        // Esmerald's setting of this name is the application's.
        None => Some(key).filter(|key| *key == "enable_scheduler"),
    }
}

fn is_below(key: &str, above: &str) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

fn pair(item: Value) -> Option<(String, Value)> {
    match item {
        Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
            Ok([Value::String(key), value]) => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

/// Nested maps with dotted keys in one.
#[derive(Default)]
struct Flat {
    entries: BTreeMap<String, Value>,
    doubles: Vec<String>,
}

impl Flat {
    fn put(&mut self, key: String, value: Value) {
        match value {
            Value::Object(map) if !map.is_empty() => self.put_all(&key, map),
            value => {
                if self.entries.insert(key.clone(), value).is_some() {
                    self.doubles.push(key);
                }
            }
        }
    }

    fn put_all(&mut self, above: &str, map: Map<String, Value>) {
        for (key, value) in map {
            self.put(format!("{above}.{key}"), value);
        }
    }
}
