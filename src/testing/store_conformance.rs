//! The suite that a store of a user's own is run through.

/// Tests a [`Store`](crate::Store) by our own suite: a module of `#[test]`s, one for each promise, named after it.
///
/// The first word names the module; then comes an expression for a new store, which may await. It is made anew for each test
/// and must give an empty store: one in memory, in a file of its own, or under a name of its own in a database. Each test starts
/// the store on a runtime with several threads, and shuts it down.
///
/// ```
/// use asyncz::MemoryStore;
///
/// asyncz::testing::store_conformance!(memory, MemoryStore::new());
/// ```
///
/// What goes with the process gives no leases, and has nothing to show in the tests marked ¹; what has no clock of its own has
/// nothing to show in those of the store's clock; what removes old entries by itself need not in the one of old entries.
///
/// | test | what it shows |
/// |---|---|
/// | `a_claim_is_won_once` | of many racing schedulers one wins each occurrence |
/// | `a_claim_writes_entries_and_schedule` | all that a claim says is written |
/// | `nobody_sees_half_a_claim` | in one step |
/// | `claims_are_batched` | 200 in a call, losers among winners |
/// | `a_claim_from_an_older_version_is_lost` | and writes nothing |
/// | `a_claim_of_a_deleted_task_is_lost` | and brings it not back |
/// | `a_deleted_tasks_successor_is_left_alone` | also a task that has the key of the deleted one |
/// | `what_waited_keeps_its_entry` | a run has one entry |
/// | `a_claim_removes_a_task_that_is_over` | and keeps its history |
/// | `a_run_by_hand_leaves_the_schedule` | it comes beside it |
/// | `an_end_is_written_once` | asked again it changes nothing |
/// | `an_end_asked_again_says_the_same` | whether the run is tried again, as its answer was lost |
/// | `a_retry_takes_its_runs_place` | among the running ones |
/// | `what_is_handed_on_waits_first` | for any scheduler |
/// | `an_end_makes_room_for_what_waits` | and says so |
/// | `the_last_end_removes_a_task_that_is_over` | and keeps its history |
/// | `a_deleted_tasks_run_ends_as_usual` | is not tried again, and leaves a successor alone |
/// | `only_its_scheduler_ends_a_run` | any other is refused |
/// | `ends_are_batched` | 200 in a call, each with its outcome |
/// | `ends_at_the_same_time_are_all_counted` | `running` and `version` are right |
/// | `what_is_due_is_found_earliest_first` | no more than asked for, nothing paused or ended |
/// | `what_waits_is_due_when_it_has_room` | at once, before all else |
/// | `only_what_can_be_run_is_due` | for the handlers asked for; others are orphans |
/// | `the_next_due_time_is_known` | past or to come |
/// | `the_stores_clock_decides_what_is_due` | where it has one |
/// | `a_cancellation_is_told_to_the_runs_scheduler` | only to it, until the run has ended |
/// | `runs_are_claimed_only_with_a_lease` | ¹ a claim without one writes nothing, and renewing brings it back |
/// | `what_claims_no_run_takes_no_lease` | ¹ nobody could take it over |
/// | `schedulers_and_their_leases_are_known` | ¹ as they said |
/// | `lapsed_runs_are_found` | ¹ when the lease has lapsed, and no earlier |
/// | `only_what_can_be_run_is_taken_over` | ¹ for the handlers asked for, no more than asked for |
/// | `the_next_lapse_is_known` | ¹ of the others who have runs |
/// | `the_stores_clock_decides_what_has_lapsed` | ¹ where it has one |
/// | `what_was_left_is_taken_over_at_once` | ¹ and its entry keeps what it said |
/// | `a_run_is_taken_over_once` | ¹ of many who do one does |
/// | `a_run_is_taken_over_with_its_task_as_it_was_found` | ¹ where that has changed it is found again |
/// | `a_run_is_not_taken_over_into_another_task` | ¹ of the same id |
/// | `nothing_is_taken_from_a_held_lease` | ¹ its scheduler was only slow |
/// | `an_end_of_what_was_taken_over_is_refused` | ¹ and changes nothing |
/// | `an_end_is_written_until_its_run_is_taken_over` | ¹ and then nobody takes it over |
/// | `runs_of_deleted_tasks_are_closed_with_the_lease` | ¹ as lost |
/// | `a_cancellation_ends_with_its_run` | ¹ where it is taken over |
/// | `an_id_is_taken_once` | of many who add it one does |
/// | `an_edit_from_an_older_version_conflicts` | of many one is done |
/// | `a_deletion_keeps_the_history` | what waits is cancelled, what runs goes on |
/// | `edits_are_batched` | 200 in a call, each with its outcome |
/// | `tasks_come_in_order` | and are counted |
/// | `strange_ids_are_kept_apart` | case, spaces, quotes, 1,000 characters |
/// | `triggers_come_back_as_they_were` | all kinds |
/// | `tasks_come_back_as_they_were` | all fields |
/// | `results_come_back_as_they_were` | values and errors, 1 MB too |
/// | `times_come_back_as_they_were` | to the microsecond, due times to the millisecond |
/// | `what_is_written_outlives_a_restart` | of the store |
/// | `the_history_comes_newest_first` | of all tasks and of each |
/// | `the_history_is_found_by_what_is_asked` | task, status, run, scheduler |
/// | `only_old_entries_that_are_over_are_removed` | in batches; runs that go on, and the watermark, stay |
/// | `others_hear_of_changes` | within a second, or are told to ask as often |
/// | `schedulers_share_tasks` | each is run by one of three, once |
/// | `max_instances_counts_over_all_schedulers` | of three |
/// | `a_scheduler_hears_of_anothers_task` | within a second, and runs it |
/// | `a_run_is_cancelled_from_another_scheduler` | than the one that has it |
/// | `a_store_is_closed_by_the_last_that_leaves_it` | of the schedulers of a process; the others go on and hear |
/// | `a_scheduler_takes_over_from_a_dead_one` | ¹ as soon as its lease has lapsed |
///
/// They run against the real clock, and each fails after 20 s at most.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_conformance {
    ($name:ident, $store:expr) => {
        $crate::__store_conformance! { @module $name, $store, [
            a_claim_is_won_once a_claim_writes_entries_and_schedule nobody_sees_half_a_claim claims_are_batched
            a_claim_from_an_older_version_is_lost a_claim_of_a_deleted_task_is_lost
            a_deleted_tasks_successor_is_left_alone what_waited_keeps_its_entry
            a_claim_removes_a_task_that_is_over a_run_by_hand_leaves_the_schedule an_end_is_written_once
            an_end_asked_again_says_the_same a_retry_takes_its_runs_place what_is_handed_on_waits_first
            an_end_makes_room_for_what_waits the_last_end_removes_a_task_that_is_over
            a_deleted_tasks_run_ends_as_usual only_its_scheduler_ends_a_run ends_are_batched
            ends_at_the_same_time_are_all_counted what_is_due_is_found_earliest_first
            what_waits_is_due_when_it_has_room only_what_can_be_run_is_due the_next_due_time_is_known
            the_stores_clock_decides_what_is_due a_cancellation_is_told_to_the_runs_scheduler
            runs_are_claimed_only_with_a_lease what_claims_no_run_takes_no_lease
            schedulers_and_their_leases_are_known lapsed_runs_are_found only_what_can_be_run_is_taken_over
            the_next_lapse_is_known the_stores_clock_decides_what_has_lapsed what_was_left_is_taken_over_at_once
            a_run_is_taken_over_once a_run_is_taken_over_with_its_task_as_it_was_found
            a_run_is_not_taken_over_into_another_task nothing_is_taken_from_a_held_lease an_end_of_what_was_taken_over_is_refused
            an_end_is_written_until_its_run_is_taken_over runs_of_deleted_tasks_are_closed_with_the_lease
            a_cancellation_ends_with_its_run an_id_is_taken_once an_edit_from_an_older_version_conflicts
            a_deletion_keeps_the_history edits_are_batched tasks_come_in_order strange_ids_are_kept_apart
            triggers_come_back_as_they_were tasks_come_back_as_they_were results_come_back_as_they_were
            times_come_back_as_they_were what_is_written_outlives_a_restart the_history_comes_newest_first
            the_history_is_found_by_what_is_asked only_old_entries_that_are_over_are_removed
            others_hear_of_changes schedulers_share_tasks max_instances_counts_over_all_schedulers
            a_scheduler_hears_of_anothers_task a_run_is_cancelled_from_another_scheduler
            a_store_is_closed_by_the_last_that_leaves_it a_scheduler_takes_over_from_a_dead_one
        ] }
    };
    (@module $name:ident, $store:expr, [$($case:ident)*]) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::testing::store_cases::$case(async || $store);
                }
            )*
        }
    };
}

#[doc(inline)]
pub use __store_conformance as store_conformance;
