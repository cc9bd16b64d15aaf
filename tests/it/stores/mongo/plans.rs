//! That no question which comes often reads through a collection.

use super::{Place, at_noon_in, every_ten_seconds, started};
use crate::scheduler::seconds;

/// The index that carries each question.
const INDEXES: [(&str, &str); 8] = [
    ("due", "due"),
    ("next due", "due"),
    ("orphans", "handler"),
    ("cancelled", "cancel"),
    ("lapsed", "open"),
    ("history", "made"),
    ("history of a task", "task"),
    ("prune: old", "made"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hot_question_goes_by_an_index() {
    let place = Place::new();
    let (clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let tasks = (0..1_000).map(|number| every_ten_seconds(&format!("task-{number}")));
    scheduler.add_tasks(tasks).await.unwrap();
    clock.advance(seconds(20)).await;
    scheduler.stop().await.unwrap();

    let plans = started(&place).await.plans().await.unwrap();

    for (name, index) in INDEXES {
        let (_, plan) = plans.iter().find(|(known, _)| *known == name).expect("it has a plan");
        assert!(plan.contains(&format!(r#""indexName": "{index}""#)), "{name}: {plan}");
        assert!(!plan.contains("COLLSCAN"), "{name}: {plan}");
    }
    // Ten are asked for, of a thousand that are due by then.
    let (_, due) = plans.iter().find(|(name, _)| *name == "due").expect("it has a plan");
    assert!(due.contains(r#""totalDocsExamined": 10,"#), "{due}");
}
