//! What can be wrong with a task.

use chrono::DateTime;

use crate::{Error, Trigger, Zone};

/// What is wrong with a task.
#[derive(Debug)]
pub(crate) enum Mistake {
    Arguments(String),
    Option(String),
    /// Its trigger had instants, but all are past: no mistake where the task is declared, as a deploy may come later.
    Ended(String),
}

impl Mistake {
    /// Why a trigger has no instant from now on. `given` is the trigger as it was given, not anchored.
    pub(crate) fn no_instant(given: &(dyn Trigger + 'static), zone: &Zone) -> Self {
        let long_ago = DateTime::UNIX_EPOCH;
        let trigger = given.anchored(long_ago, zone);
        match trigger.first(long_ago) {
            Some(_) => Self::Ended(format!("its trigger has ended: {given} has no instant left")),
            None => Self::Option(format!("its trigger never matches: {given} has no instant")),
        }
    }

    pub(crate) fn into_message(self) -> String {
        match self {
            Self::Arguments(message) | Self::Option(message) | Self::Ended(message) => message,
        }
    }

    pub(crate) fn of_task(self, task: String) -> Error {
        match self {
            Self::Arguments(message) => Error::InvalidArguments { task, message },
            Self::Option(message) | Self::Ended(message) => Error::InvalidTask { task, message },
        }
    }
}
