//! Encryption at rest: what the database has, and what is told where a key is missing.

use asyncz::mongodb::bson::doc;
use asyncz::stores::Query;
use asyncz::{Args, RunFilter, Store, Task};
use serde_json::{Value, json};

use super::Place;
use crate::scheduler::{at_noon, seconds};

const KEY: &str = "Vm9yIEdlYnJhdWNoIGVyc2V0emVuISBGb3IgdGVzdHM=";

async fn echo(Args(args): Args<Value>) -> Result<Value, String> {
    match args["fails"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(args),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_has_no_secret_and_a_wrong_key_changes_nothing() {
    let place = Place::new();
    let store = || place.told().encryption_keys([KEY]);
    let (clock, config) = at_noon();
    let scheduler = config.store("default", store()).scheduler();
    scheduler.start().await.unwrap();
    let args = json!({"to": "joe@secret"});
    for (id, args) in [("letters", &args), ("broken", &json!({"fails": "no such joe@secret"}))] {
        let task = Task::from_fn("echo", echo).id(id).args(args).unwrap().every(seconds(4_007));
        scheduler.add_task(task).await.unwrap();
        scheduler.run_task(id).await.unwrap();
    }
    clock.advance(seconds(1)).await;
    scheduler.stop().await.unwrap();

    let mut all = String::new();
    for what in ["tasks", "runs", "version"] {
        let mut found = place.collection(what).await.find(doc! {}).await.unwrap();
        while found.advance().await.unwrap() {
            all += &found.deserialize_current().unwrap().to_string();
        }
    }
    let wrong = place.told().encryption_keys(["k".repeat(32)]).start().await.unwrap_err().to_string();
    let none = place.told().encryption_keys([""; 0]).start().await.unwrap_err().to_string();

    assert!(!all.contains("joe@secret") && !all.contains(KEY), "{all}");
    assert!(all.contains("letters") && all.contains("asyncz:xc20p:a048ad90:"), "{all}");
    assert!(wrong.contains("encrypted with key `a048ad90`"), "{wrong}");
    assert!(none.contains("no key"), "{none}");
    let tasks = store().query(Query::All).await.unwrap().tasks;
    assert_eq!(tasks[1].definition.args(), &args);
    let run = async |task: &str| store().runs(&RunFilter::new().task(task)).await.unwrap().remove(0);
    assert_eq!(run("letters").await.value, Some(args));
    assert_eq!(run("broken").await.error.as_deref(), Some("no such joe@secret"));
}
