//! `tests/data/triggers.json` says in numbers what the contract says in words. Each vector is a trigger in its JSON
//! form with either `now` and the `expected` instants (a last `null`: the set ends there), or `invalid`: a word that
//! the refusal mentions.

use asyncz::Zone;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{at, read};

#[derive(Deserialize)]
struct Vector {
    name: String,
    trigger: Value,
    now: Option<String>,
    expected: Option<Vec<Option<DateTime<Utc>>>>,
    invalid: Option<String>,
}

#[test]
fn every_vector_holds() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../data/triggers.json")).expect("valid JSON");
    assert!(vectors.len() > 300, "the vectors are gone");
    let failure = |vector: &Vector| Some(format!("{}: {}", vector.name, check(vector).err()?));
    let failures: Vec<_> = vectors.iter().filter_map(failure).collect();
    assert!(
        failures.is_empty(),
        "{} of {} vectors fail:\n{}",
        failures.len(),
        vectors.len(),
        failures.join("\n")
    );
}

fn check(vector: &Vector) -> Result<(), String> {
    let trigger = read(vector.trigger.clone());
    if let Some(word) = &vector.invalid {
        return match trigger {
            Ok(trigger) => Err(format!("read as {trigger:?}")),
            Err(message) if message.to_lowercase().contains(&word.to_lowercase()) => Ok(()),
            Err(message) => Err(format!("`{message}` doesn't mention `{word}`")),
        };
    }
    let (trigger, Some(now), Some(expected)) = (trigger?, &vector.now, &vector.expected) else {
        return Err("neither invalid nor with now and expected".to_owned());
    };
    let now = at(now);
    let zone =
        vector.trigger["timezone"].as_str().map_or(Ok(Zone::UTC), str::parse).map_err(|e| e.to_string())?;
    let trigger = trigger.anchored(now, &zone);
    let mut got = vec![trigger.first(now)];
    while got.len() < expected.len() {
        let last = got[got.len() - 1];
        got.push(last.and_then(|last| trigger.next_after(last)));
    }
    if got == *expected { Ok(()) } else { Err(format!("got {got:?}, expected {expected:?}")) }
}
