//! The tasks that `#[task]` declares anywhere in the program, found at link time.

use super::{Handler, Task, TaskFn};

/// A function that carries `#[task]`; what the macro submits.
#[doc(hidden)]
#[derive(Debug)]
pub struct TaskEntry {
    /// Makes the task.
    pub task: fn() -> Task,
}

inventory::collect!(TaskEntry);

/// All declared tasks, in the order of their handlers' names; the linker's order is chance.
pub(crate) fn declared_tasks() -> Vec<Task> {
    let mut tasks: Vec<_> = inventory::iter::<TaskEntry>().map(|entry| (entry.task)()).collect();
    tasks.sort_by(|a, b| (&a.handler.name, a.handler.location).cmp(&(&b.handler.name, b.handler.location)));
    tasks
}

/// What `function::task()` starts from; the macro adds the options.
#[doc(hidden)]
pub fn task<K, M, F: TaskFn<K, M>>(
    handler: &'static str,
    location: (&'static str, u32),
    function: F,
) -> Task {
    let mut handler = Handler::new(handler, function);
    handler.location = Some(location);
    Task::with_handler(handler)
}
