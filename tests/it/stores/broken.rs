//! The suite finds what it is for: stores that break one promise each, and the case that must fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use asyncz::testing::{store_cases as cases, store_conformance};

use super::mutant::Mutant;

// One that breaks nothing is not accused.
store_conformance!(none, Mutant::new(Broken::Nothing));

/// What the case says of a store that is broken so.
fn said(case: impl FnOnce()) -> String {
    let outcome = catch_unwind(AssertUnwindSafe(|| cases::with_limit(Duration::from_secs(10), case)));
    let payload = outcome.expect_err("the case finds what is broken");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The cases and what they say, for each way to be broken.
macro_rules! each_is_caught {
    ($($(#[$doc:meta])* $how:ident => { $($case:ident: $says:literal,)* })*) => {
        /// A promise to break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Broken {
            /// None.
            Nothing,
            $($(#[$doc])* $how,)*
        }

        $(
            #[allow(non_snake_case, reason = "named after what is broken")]
            mod $how {
                use super::*;

                $(
                    #[test]
                    fn $case() {
                        let said = said(|| cases::$case(async || Mutant::new(Broken::$how)));
                        assert!(said.contains($says), "{said}");
                    }
                )*
            }
        )*
    };
}

each_is_caught! {
    /// A claim is won only from the version that it was planned from.
    ClaimsAreSwaps => {
        a_claim_is_won_once: "one scheduler wins",
        a_claim_from_an_older_version_is_lost: "planned from an older version",
        a_deleted_tasks_successor_is_left_alone: "the task it was planned from is gone",
        a_run_is_taken_over_once: "one takes it",
        schedulers_share_tasks: "each ",
    }
    /// A claim writes all of its entries.
    ClaimsWriteAll => {
        a_claim_writes_entries_and_schedule: "one entry of each run",
        claims_are_batched: "each that was won has its entries",
    }
    /// Entries come with their schedule.
    ClaimsAreOneStep => { nobody_sees_half_a_claim: "a schedule comes with its entries", }
    /// Each claim's outcome stands at its place.
    ClaimsAnswerInOrder => { claims_are_batched: "has its own outcome", }
    /// A claim is lost where the task is gone.
    ClaimsNeedTheTask => { a_claim_of_a_deleted_task_is_lost: "the task is gone", }
    /// A key may be of a task that is gone.
    KeysAreHints => { a_deleted_tasks_successor_is_left_alone: "the task it was planned from is gone", }
    /// What is decided about a run stands in its entry's place.
    RunsHaveOneEntry => { what_waited_keeps_its_entry: "it is what was decided last", }
    /// A task that is over is removed.
    WhatIsOverGoes => {
        a_claim_removes_a_task_that_is_over: "nothing is left to do",
        the_last_end_removes_a_task_that_is_over: "nothing is left to do",
    }
    /// A run by hand comes beside the schedule.
    ByHandIsBeside => { a_run_by_hand_leaves_the_schedule: "it is due as before", }
    /// An end that is told again changes nothing.
    EndsAreWrittenOnce => { an_end_is_written_once: "asked again it changes nothing", }
    /// An end that is told again is answered as before.
    EndsAnswerAgain => { an_end_asked_again_says_the_same: "it says the same again", }
    /// The end of a run writes the one that tries it again.
    RetriesAreWritten => { a_retry_takes_its_runs_place: "one run goes on as before", }
    /// What is handed on waits before all others.
    HandedOnIsFirst => { what_is_handed_on_waits_first: "it waits first", }
    /// Who ends a run is told that it makes room.
    RoomIsTold => {
        an_end_makes_room_for_what_waits: "its place is free",
        what_is_handed_on_waits_first: "something waits for its place",
    }
    /// A run of a deleted task ends as others do.
    OrphansEnd => { a_deleted_tasks_run_ends_as_usual: "its end is written", }
    /// Only the scheduler that has a run ends it.
    EndsAreFenced => {
        only_its_scheduler_ends_a_run: "the run is another's",
        an_end_of_what_was_taken_over_is_refused: "it is another's by now",
    }
    /// Each end's outcome stands at its place.
    EndsAnswerInOrder => { ends_are_batched: "has its own outcome", }
    /// Ends that come at the same time are all written.
    EndsAtOnceAreWritten => { ends_at_the_same_time_are_all_counted: "each end is counted", }
    /// What is due comes by its time.
    EarliestComesFirst => { what_is_due_is_found_earliest_first: "", }
    /// What waits and has room is due.
    RoomIsDue => { what_waits_is_due_when_it_has_room: "it has room", }
    /// Tasks of others don't count.
    OthersTasksDontCount => { only_what_can_be_run_is_due: "others don't count", }
    /// It says when the next task is due.
    NextDueIsKnown => { the_next_due_time_is_known: "the next is to come", }
    /// The store's clock decides.
    TheClockDecides => {
        the_stores_clock_decides_what_is_due: "as the store's clock says",
        the_stores_clock_decides_what_has_lapsed: "by the store's clock",
    }
    /// A cancellation is for the scheduler that has the run, as long as it has it.
    CancellationsEnd => {
        a_cancellation_is_told_to_the_runs_scheduler: "others are told nothing",
        a_cancellation_ends_with_its_run: "the run is over",
    }
    /// A cancellation is noted.
    CancellationsAreNoted => {
        a_cancellation_is_told_to_the_runs_scheduler: "nobody has a run that is not",
        a_run_is_cancelled_from_another_scheduler: "in vain until it has ended",
    }
    /// Runs are claimed only with a lease.
    ClaimsNeedALease => { runs_are_claimed_only_with_a_lease: "it never had a lease", }
    /// What claims no run needs none.
    DecisionsNeedNoLease => { what_claims_no_run_takes_no_lease: "a claim from the last version is won", }
    /// Schedulers are kept as they said.
    NodesAreKept => { schedulers_and_their_leases_are_known: "it is as it said", }
    /// Who has lapsed is told.
    LapsesAreTold => {
        schedulers_and_their_leases_are_known: "it had none",
        runs_are_claimed_only_with_a_lease: "the lease had lapsed",
    }
    /// Lapsed runs are found.
    LapsedAreFound => {
        lapsed_runs_are_found: "in vain until the lease has lapsed",
        a_scheduler_takes_over_from_a_dead_one: "in vain until it is run again",
    }
    /// Those that were asked for, and no more.
    OnlyWhatIsAskedLapses => { only_what_can_be_run_is_taken_over: "others' handlers don't count", }
    /// It says when the next lease lapses.
    NextLapseIsTold => {
        the_next_lapse_is_known: "they have runs",
        lapsed_runs_are_found: "one will lapse",
    }
    /// What a scheduler leaves is free at once.
    LeavingIsAtOnce => { what_was_left_is_taken_over_at_once: "what it has left is found at once", }
    /// A lost run's entry keeps what it said.
    LossesKeepTheEntry => { what_was_left_is_taken_over_at_once: "a loss keeps what the entry said before", }
    /// A run is taken over only with its task as it was found.
    TakeoversAreSwaps => {
        a_run_is_taken_over_with_its_task_as_it_was_found: "its task has changed",
        a_run_is_not_taken_over_into_another_task: "its task is gone",
    }
    /// Nothing is taken from one that lives.
    OnlyLapsedAreTaken => { nothing_is_taken_from_a_held_lease: "it lives after all", }
    /// An end that is late is written where nobody has taken the run over.
    LateEndsAreWritten => { an_end_is_written_until_its_run_is_taken_over: "it is still its own", }
    /// Runs that nobody would take over are closed.
    OrphansAreClosed => { runs_of_deleted_tasks_are_closed_with_the_lease: "nobody knows how it ended", }
    /// An id is taken once.
    IdsAreTakenOnce => { an_id_is_taken_once: "one adds it", }
    /// An edit is done only from the version that it was planned from.
    EditsAreSwaps => { an_edit_from_an_older_version_conflicts: "one is done", }
    /// A deleted task's history stays.
    DeletionKeepsHistory => { a_deletion_keeps_the_history: "its history stays", }
    /// Each edit's outcome stands at its place.
    EditsAnswerInOrder => { edits_are_batched: "each has its own outcome", }
    /// All tasks come in the order of ids.
    AllComeInOrder => { tasks_come_in_order: "in the order of ids", }
    /// All tasks are counted.
    AllAreCounted => { tasks_come_in_order: "all are counted", }
    /// Ids are kept apart.
    IdsAreExact => { strange_ids_are_kept_apart: "`Task` is not there", }
    /// Triggers are kept.
    TriggersAreKept => { triggers_come_back_as_they_were: "it comes back as it was", }
    /// All fields are kept.
    FieldsAreKept => { tasks_come_back_as_they_were: "it comes back as it was", }
    /// Long results are kept.
    LongResultsAreKept => { results_come_back_as_they_were: "value 6 comes back as it was", }
    /// Times are kept.
    TimesAreKept => { times_come_back_as_they_were: "", }
    /// What was written is there after a restart.
    RestartsKeepAll => { what_is_written_outlives_a_restart: "it is as it was", }
    /// The newest entry comes first.
    NewestComesFirst => { the_history_comes_newest_first: "newest first", }
    /// Entries are found by any of the statuses asked for.
    StatusIsAsked => { the_history_is_found_by_what_is_asked: "any of these", }
    /// Runs that go on stay in the history.
    PruningKeepsOpen => { only_old_entries_that_are_over_are_removed: "and then the rest", }
    /// Few are removed at a time.
    PruningIsBounded => { only_old_entries_that_are_over_are_removed: "at most so many at a time", }
    /// The watermark stays.
    PruningKeepsTheWatermark => { only_old_entries_that_are_over_are_removed: "its watermark too", }
    /// Changes are told.
    ChangesAreTold => {
        others_hear_of_changes: "not told within",
        a_scheduler_hears_of_anothers_task: "in vain until it has run",
    }
    /// A store is open until the last that uses it is gone.
    TheLastCloses => { a_store_is_closed_by_the_last_that_leaves_it: "in vain until it has run", }
    /// Who is told nothing asks often.
    ChangesAreAskedOften => { others_hear_of_changes: "it is to be asked each second", }
    /// Runs that go on are counted.
    RunsAreCounted => {
        max_instances_counts_over_all_schedulers: "max_instances is 2",
        ends_at_the_same_time_are_all_counted: "each end is counted",
    }
}

/// A case that finds nothing would prove nothing.
#[test]
fn each_case_finds_a_broken_promise() {
    let table = include_str!("../../../src/testing/store_conformance.rs");
    let here = include_str!("broken.rs");
    let cases: Vec<_> =
        table.lines().filter_map(|line| line.strip_prefix("/// | `")?.split('`').next()).collect();
    assert!(cases.len() > 50, "the table of the cases was not found");
    for case in cases {
        assert!(here.contains(&format!("{case}: \"")), "`{case}` finds no broken promise");
    }
}
