//! What must always hold.

use std::fmt;

/// What a [`Simulation`](super::Simulation) checks after each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// Each occurrence (task, generation, instant) gets one decision.
    OneDecision,
    /// No occurrence is passed over: all that was due is decided.
    NoneForgotten,
    /// Nothing is decided by schedule while a task is paused.
    NotWhilePaused,
    /// Nothing is decided of a task that is deleted.
    NotAfterDeletion,
    /// What was read of a task changes nothing of another one that was added under its id later.
    OneLife,
    /// No more runs than `max_instances` go on at once.
    MaxInstances,
    /// The schedule's count of runs is that of the runs that go on.
    CountsRuns,
    /// A run is started once, by the scheduler that has won its claim, and after that.
    ClaimedFirst,
    /// Runs are claimed only by a scheduler whose lease has not lapsed, and taken over only from one whose has.
    NeedsLease,
    /// The end of a run is written only by the scheduler that has it.
    Fenced,
    /// A store finds the runs of all schedulers that have lapsed, and no others.
    FindsWhatLapsed,
    /// Once nothing fails any more no run is left with a scheduler that is gone, or does not know of it.
    NoneStranded,
    /// Time goes on: nothing comes next that is decided already, and the watermark never goes back.
    Onward,
    /// What does not run has a reason.
    Reasons,
    /// Claims and edits change a task only from the version that they were planned from.
    CompareAndSwap,
    /// Claims and edits that were planned from a task's last version are done.
    OnlyStaleLose,
    /// A claim's decisions are in the history as soon as it is won.
    OneStep,
    /// The end of a run is in the history as soon as it is written.
    EndsAreKept,
    /// Each request of a call is answered.
    AnswersAll,
    /// What is asked again, as its answer was lost, is answered as before.
    AnswersAgain,
    /// A store keeps a task as it was last written, and says what it did.
    KeepsWhatItSaid,
    /// A store finds all tasks that are due, no other, and knows when the next one is.
    FindsWhatIsDue,
    /// The store does not fail by itself.
    StoreWorks,
    /// Once nothing fails any more all that is due is decided.
    AllIsDecided,
    /// Each run that was started ends in the history, unless its scheduler died.
    EveryRunEnds,
    /// A scheduler that is stopped comes to its end.
    ComesToRest,
    /// Equal inputs at equal instants give equal actions.
    Replays,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneDecision => "each occurrence gets one decision",
            Self::NoneForgotten => "no occurrence is passed over",
            Self::NotWhilePaused => "nothing is decided while a task is paused",
            Self::NotAfterDeletion => "nothing is decided of a task that is deleted",
            Self::OneLife => "what was read of a task changes nothing of its successor",
            Self::MaxInstances => "no more runs than max_instances go on at once",
            Self::CountsRuns => "the schedule counts the runs that go on",
            Self::ClaimedFirst => "a run is started once, and by who has won it",
            Self::NeedsLease => "a lease is needed to claim runs, and must have lapsed to lose them",
            Self::Fenced => "the end of a run is written by who has it",
            Self::FindsWhatLapsed => "a store finds what has lapsed, all of it and nothing else",
            Self::NoneStranded => "no run is left with a scheduler that is gone",
            Self::Onward => "nothing comes next that is decided already",
            Self::Reasons => "what does not run has a reason",
            Self::CompareAndSwap => "a task is changed only from its last version",
            Self::OnlyStaleLose => "what was planned from the last version is done",
            Self::OneStep => "a claim's decisions are in the history as soon as it is won",
            Self::EndsAreKept => "the end of a run is in the history as soon as it is written",
            Self::AnswersAll => "each request of a call is answered",
            Self::AnswersAgain => "what is asked again is answered as before",
            Self::KeepsWhatItSaid => "a store keeps what it said it did",
            Self::FindsWhatIsDue => "a store finds what is due, all of it and nothing else",
            Self::StoreWorks => "the store does not fail by itself",
            Self::AllIsDecided => "all that is due is decided in the end",
            Self::EveryRunEnds => "each run that was started ends in the history",
            Self::ComesToRest => "a scheduler that is stopped comes to its end",
            Self::Replays => "equal inputs give equal actions",
        })
    }
}
