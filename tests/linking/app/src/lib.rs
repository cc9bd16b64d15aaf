//! What both programs do: start a scheduler and print the tasks that it has.

use asyncz::{AsynczConfig, TaskFilter};

// Named here, and so it is linked.
use jobs as _;

/// Prints each task's handler, or what the start says. The first argument is how many tasks are expected.
#[tokio::main]
pub async fn list() {
    let expected = std::env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
    let scheduler = AsynczConfig::new().expect_tasks(expected).scheduler();
    match scheduler.start().await {
        Ok(()) => {
            for task in scheduler.tasks(TaskFilter::new()).await.expect("memory does not fail") {
                println!("{}", task.handler);
            }
        }
        Err(error) => println!("{error}"),
    }
}
