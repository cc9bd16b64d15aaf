//! That no statement which comes often reads through a table.

use super::{Place, at_noon_in, every_ten_seconds, on_each_database, started};
use crate::scheduler::seconds;

on_each_database! {
    every_hot_statement_goes_by_an_index
}

/// The index that carries each statement, as its name ends; where it goes by a primary or unique key, which databases name
/// as they like, only that nothing is read through.
const INDEXES: [(&str, &str); 5] = [
    ("due", "tasks_due"),
    ("next due", "tasks_due"),
    ("lapsed", "runs_open"),
    ("history of a task", "runs_task"),
    ("prune: too many", "runs_task"),
];

async fn every_hot_statement_goes_by_an_index(place: Place) {
    let (clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let tasks = (0..2_000).map(|number| every_ten_seconds(&format!("task-{number}")));
    scheduler.add_tasks(tasks).await.unwrap();
    clock.advance(seconds(20)).await;
    scheduler.stop().await.unwrap();
    for table in ["tasks", "runs"] {
        let analyze = if place.is_sqlite() || place.is_postgres() { "ANALYZE" } else { "ANALYZE TABLE" };
        place.sql(&format!("{analyze} {{}}{table}")).await;
    }

    let plans = started(&place).await.plans().await.unwrap();

    assert!(plans.len() > 10);
    for (name, plan) in plans {
        for table in ["tasks", "runs"] {
            let table = format!("{}{table}", place.prefix);
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name}: {plan}");
        }
        // What SQLite reads through are the rows that it is given; a table that it goes through in the order of its key
        // ends with a limit, but for these.
        let may_scan = ["due", "next due", "prune: old"].contains(&name);
        assert!(may_scan || !plan.lines().any(|line| line == "SCAN t" || line == "SCAN r"), "{name}: {plan}");
        assert!(!reads_through(&plan), "{name}: {plan}");
        if let Some((_, index)) = INDEXES.iter().find(|(known, _)| *known == name) {
            assert!(plan.contains(&format!("{}{index}", place.prefix)), "{name}: {plan}");
        }
    }
}

/// Whether MySQL reads through one of our tables: what it says of a table begins with its name and how it is accessed.
fn reads_through(plan: &str) -> bool {
    let plan: String = plan.split_whitespace().collect();
    ["t", "r"].iter().any(|table| plan.contains(&format!(r#""table_name":"{table}","access_type":"ALL""#)))
}
