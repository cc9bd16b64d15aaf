//! A run on its way to another process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::{Batch, Run, Surroundings};
use super::handler::Call;
use super::id::{RunId, TaskId, Ticket};
use super::record::{Occurrence, Rules, TaskDefinition};
use crate::triggers::ShutdownTrigger;

/// All that a handler can ask about its run. The trigger is not among it, and stays where it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    run: RunId,
    occurrence: Occurrence,
    task: TaskId,
    pub(crate) handler: Arc<str>,
    name: Arc<str>,
    args: Option<Box<Value>>,
    executor: Arc<str>,
    rules: Arc<Rules>,
}

impl Assignment {
    pub(crate) fn of(run: &Run) -> Self {
        let TaskDefinition { id, handler, name, args, executor, rules, .. } = run.definition();
        Self {
            run: run.id(),
            occurrence: run.occurrence(),
            task: id.clone(),
            handler: handler.clone(),
            name: name.clone(),
            args: args.clone(),
            executor: executor.clone(),
            rules: rules.clone(),
        }
    }

    /// The run where it is to take place.
    pub(crate) fn into_run(self, surroundings: Surroundings, call: Call) -> Run {
        let Self { run, occurrence, task: id, handler, name, args, executor, rules } = self;
        let trigger = Arc::new(ShutdownTrigger);
        let definition = TaskDefinition {
            id,
            handler,
            name,
            trigger,
            trigger_digest: 0,
            args,
            executor,
            rules,
            release: 0,
        };
        let batch = Batch::new(surroundings, vec![call]);
        Run::new(Arc::new(definition), occurrence, (run, Ticket::new(0)), Arc::new(batch), Some(0), None)
    }
}
