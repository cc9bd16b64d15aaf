//! How runs ended: written once, and by the scheduler that has the run.

use super::RedisStore;
use super::answers;
use super::parts::parts;
use super::records::{self, End, Entry, Told, Waits};
use super::scripts::FINISH;
use super::words::Words;
use crate::stores::{Finish, FinishOutcome, StoreError, Then};
use crate::task::NodeId;

/// What so many bytes of a result weigh as much as an end without one.
const RESULT: usize = 5_000;
const END: usize = 5;

impl RedisStore {
    pub(super) async fn try_finish(
        &self,
        by: NodeId,
        ends: &[Finish],
    ) -> Result<Vec<FinishOutcome>, StoreError> {
        let seal = self.seal()?;
        let with_result = |end| Ok((end, records::result_text(&seal, end)?));
        let ends: Vec<(&Finish, Option<String>)> =
            ends.iter().map(with_result).collect::<Result<_, StoreError>>()?;
        let weight = |(_, result): &(_, Option<String>)| {
            END + result.as_ref().map_or(0, |result| result.len() * END / RESULT)
        };
        let mut outcomes = Vec::with_capacity(ends.len());
        for part in parts(&ends, weight, |_| None) {
            let mut words = Words::new();
            words.written(format_args!("{by}")).text(self.hearing.name());
            part.iter().for_each(|(end, result)| push_end(&mut words, by, end, result.as_deref()));
            let answer = answers::text(self.run("write the end of a run", &FINISH, words).await?)?;
            for ((end, _), digit) in part.iter().zip(answer.chars()) {
                let bits = digit.to_digit(16).unwrap_or_default();
                let outcome = FinishOutcome {
                    refused: bits & 1 != 0,
                    retried: bits & 2 != 0,
                    makes_room: bits & 4 != 0,
                    removed: bits & 8 != 0,
                };
                if outcome.removed {
                    self.definitions.forget(&end.key.0.cast_signed());
                }
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }
}

/// See `scripts/finish.lua`.
fn push_end(words: &mut Words, by: NodeId, finish: &Finish, result: Option<&str>) {
    let end = &finish.end;
    words.written(format_args!("{}", finish.run)).text(finish.definition.id.as_str());
    words.text(records::letter(end.status));
    let told = if result.is_some() { Told::Apart } else { Told::Nowhere };
    let behind = End { started_at: end.started_at, finished_at: Some(end.finished_at), told };
    words.written(format_args!("{behind}")).text(result.unwrap_or_default());
    let Some((retry, status)) = finish.next() else {
        words.text("o");
        return;
    };
    words.text(if matches!(finish.then, Then::HandOn(_)) { "h" } else { "r" });
    let next = finish.entry(by, &retry, status);
    let entry = Entry {
        task: &next.task,
        occurrence: &next.occurrence,
        occurrences: next.occurrences,
        starts_at: next.starts_at,
        decided_at: next.decided_at,
        reason: next.error.clone(),
    };
    words.written(format_args!("{}", next.id)).written(format_args!("{entry}"));
    words.written(format_args!("{}", next.decided_at.timestamp_micros()));
    words.written(format_args!("{}", Waits(&retry.waiting())));
}
