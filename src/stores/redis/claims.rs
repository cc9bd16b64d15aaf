//! Claims: decisions written in one step with the schedule that follows from them, or not at all.

use super::RedisStore;
use super::answers;
use super::parts::parts;
use super::records::{self, End, Entry, Rest, Told, key_text};
use super::scripts::CLAIM;
use super::words::Words;
use crate::stores::{Claim, ClaimOutcome, StoreError};
use crate::task::{NodeId, RunStatus};

impl RedisStore {
    pub(super) async fn try_claim(
        &self,
        by: NodeId,
        claims: &[Claim],
    ) -> Result<Vec<ClaimOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(claims.len());
        for part in parts(claims, |claim| 3 + 2 * claim.decisions.len(), |claim| Some(claim.key.0)) {
            let now = part.iter().map(|claim| claim.decided_at).max().unwrap_or_default();
            let mut words = Words::new();
            words.written(format_args!("{by}")).text(&self.told(now));
            part.iter().for_each(|claim| push_claim(&mut words, by, claim));
            let answer = answers::text(self.run("write a claim", &CLAIM, words).await?)?;
            for (claim, letter) in part.iter().zip(answer.chars()) {
                outcomes.push(match letter {
                    'w' => ClaimOutcome::Won { removed: false },
                    'o' => ClaimOutcome::Won { removed: true },
                    'x' => ClaimOutcome::Lapsed,
                    _ => ClaimOutcome::Lost,
                });
                if letter == 'o' {
                    self.definitions.forget(&claim.key.0.cast_signed());
                }
            }
        }
        Ok(outcomes)
    }
}

/// See `scripts/claim.lua`.
fn push_claim(words: &mut Words, by: NodeId, claim: &Claim) {
    let Claim { definition, schedule, waiting, decided_at, .. } = claim;
    words.text(&key_text(claim.key));
    words.written(format_args!("{} ", schedule.version.wrapping_sub(1)));
    words.written(format_args!("{}", Rest(schedule, waiting)));
    words.text(&records::score(schedule, !waiting.is_empty(), definition.rules.max_instances));
    let loses = claim.decisions.iter().any(|decision| decision.status == RunStatus::Lost);
    let option = |is: bool, letter: &'static str| if is { letter } else { "" };
    let options = (option(claim.claims_runs(), "r"), option(claim.is_over(), "o"), option(loses, "l"));
    words.written(format_args!("{}{}{}", options.0, options.1, options.2));
    match claim.taken_from {
        Some(node) => words.written(format_args!("{node}")),
        None => words.text(""),
    };
    words.text(definition.id.as_str());
    words.written(format_args!("{}", decided_at.timestamp_micros()));
    words.number(claim.decisions.len());
    for decision in &claim.decisions {
        words.written(format_args!("{}", decision.run)).text(records::letter(decision.status));
        let reason = decision.reason.clone();
        if decision.status == RunStatus::Lost {
            let told = reason.as_deref().map_or(Told::Nowhere, Told::Here);
            let end = End { started_at: None, finished_at: Some(*decided_at), told };
            words.written(format_args!("{end}"));
            continue;
        }
        let entry = claim.entry(by, decision);
        let entry = Entry {
            task: &definition.id,
            occurrence: &entry.occurrence,
            occurrences: entry.occurrences,
            starts_at: entry.starts_at,
            decided_at: entry.decided_at,
            reason,
        };
        words.written(format_args!("{entry}"));
    }
}
