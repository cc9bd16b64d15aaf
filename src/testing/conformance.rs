//! The suites that an implementation of a user's own is run through.

/// Tests an [`Executor`](crate::Executor) by our own suite: a module of `#[test]`s, one for each promise, named after it.
///
/// The first word names the module; then comes how many jobs the executor runs at once (`unbounded`, `at_most(n)`, or
/// `in_place`: one after the other while it takes them over, as [`DebugExecutor`](crate::DebugExecutor) does, which can't keep
/// those promises that take several at once); then an expression for a new executor.
///
/// ```
/// # use asyncz::executors::ThreadPoolExecutor;
/// asyncz::testing::executor_conformance!(pool, at_most(2), ThreadPoolExecutor::new(2));
/// ```
///
/// | test | unbounded | at most n | in place |
/// |---|---|---|---|
/// | `every_job_is_run_once` | ✓ | ✓ | ✓ |
/// | `a_panic_harms_only_its_run` | ✓ | ✓ | ✓ |
/// | `handlers_find_the_runtime` | ✓ | ✓ | ✓ |
/// | `it_can_be_started_again` | ✓ | ✓ | ✓ |
/// | `what_waits_runs_in_order` | | ✓ | ✓ |
/// | `no_more_run_at_once_than_there_are_places` | | ✓ | ✓ |
/// | `what_waits_is_counted` | | ✓ | |
/// | `what_waits_runs_before_an_orderly_end` | | ✓ | |
/// | `as_many_run_at_once_as_there_are_places` | ✓ | ✓ | |
/// | `handing_over_never_waits` | ✓ | ✓ | |
/// | `a_run_can_be_told_to_stop` | ✓ | ✓ | |
/// | `a_run_that_goes_on_is_aborted` | ✓ | ✓ | |
/// | `a_stuck_thread_does_not_hold_the_end` | ✓ | ✓ | |
///
/// They run against the real clock, some seconds in all, and each fails after 20 s at most.
#[doc(hidden)]
#[macro_export]
macro_rules! __executor_conformance {
    ($name:ident, unbounded, $executor:expr) => {
        $crate::__executor_conformance! { @module $name, $crate::testing::executor_cases::Places::Unbounded, $executor, [
            every_job_is_run_once a_panic_harms_only_its_run handlers_find_the_runtime it_can_be_started_again
            as_many_run_at_once_as_there_are_places handing_over_never_waits a_run_can_be_told_to_stop
            a_run_that_goes_on_is_aborted a_stuck_thread_does_not_hold_the_end
        ] }
    };
    ($name:ident, at_most($places:expr), $executor:expr) => {
        $crate::__executor_conformance! { @module $name, $crate::testing::executor_cases::Places::AtMost($places), $executor, [
            every_job_is_run_once a_panic_harms_only_its_run handlers_find_the_runtime it_can_be_started_again
            what_waits_runs_in_order no_more_run_at_once_than_there_are_places what_waits_is_counted
            what_waits_runs_before_an_orderly_end as_many_run_at_once_as_there_are_places handing_over_never_waits
            a_run_can_be_told_to_stop a_run_that_goes_on_is_aborted a_stuck_thread_does_not_hold_the_end
        ] }
    };
    ($name:ident, in_place, $executor:expr) => {
        $crate::__executor_conformance! { @module $name, $crate::testing::executor_cases::Places::InPlace, $executor, [
            every_job_is_run_once a_panic_harms_only_its_run handlers_find_the_runtime it_can_be_started_again
            what_waits_runs_in_order no_more_run_at_once_than_there_are_places
        ] }
    };
    (@module $name:ident, $places:expr, $executor:expr, [$($case:ident)*]) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::testing::executor_cases::$case($executor, $places);
                }
            )*
        }
    };
}

#[doc(inline)]
pub use __executor_conformance as executor_conformance;
