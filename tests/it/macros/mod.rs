//! `#[task]`: what is declared is what is scheduled.

mod forms;
mod options;
mod places;
mod runs;
mod strict;
mod triggers;

use asyncz::{Error, Task, TaskSnapshot};

use crate::scheduler::started;

/// The task as a scheduler at noon takes it.
async fn added(task: Task) -> Result<TaskSnapshot, Error> {
    let (_, scheduler) = started().await;
    let handle = scheduler.add_task(task).await?;
    scheduler.get_task(handle.id()).await
}
