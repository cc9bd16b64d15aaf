//! When the scheduler stops.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Trigger;
use crate::zone::Zone;

/// No instant at all: the task runs when the scheduler stops, before its stores close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct ShutdownTrigger;

#[typetag::serde(name = "shutdown")]
impl Trigger for ShutdownTrigger {
    fn next_after(&self, _: DateTime<Utc>) -> Option<DateTime<Utc>> {
        None
    }

    fn anchored(&self, _: DateTime<Utc>, _: &Zone) -> Box<dyn Trigger> {
        Box::new(*self)
    }

    fn describe(&self) -> String {
        "when the scheduler stops".to_owned()
    }

    fn at_shutdown(&self) -> bool {
        true
    }
}

/// The JSON form: a map, as typetag needs one to put the type in.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {}

impl From<Form> for ShutdownTrigger {
    fn from(Form {}: Form) -> Self {
        Self
    }
}

impl From<ShutdownTrigger> for Form {
    fn from(ShutdownTrigger: ShutdownTrigger) -> Self {
        Self {}
    }
}
