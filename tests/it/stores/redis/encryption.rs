//! Encryption at rest: what the server has of it, and what is told where a key is missing.

use asyncz::{Args, RedisStore, RunFilter, Store, Task, redis};
use serde_json::{Value, json};

use super::Place;
use crate::scheduler::{at_noon, seconds};

const OLD: &str = "Vm9yIEdlYnJhdWNoIGVyc2V0emVuISBGb3IgdGVzdHM=";
const NEW: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

async fn echo(Args(args): Args<Value>) -> Result<Value, String> {
    match args["fails"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(args),
    }
}

fn store(place: &Place, keys: &[&str]) -> RedisStore {
    if keys.is_empty() { place.store() } else { place.store().encryption_keys(keys.iter().copied()) }
}

/// Has a scheduler run two tasks with secrets once, one of which fails.
async fn run_two(place: &Place, keys: &[&str]) {
    let (clock, config) = at_noon();
    let scheduler = config.store("default", store(place, keys)).scheduler();
    scheduler.start().await.unwrap();
    for (id, args) in
        [("letters", json!({"to": "joe@secret"})), ("broken", json!({"fails": "no such joe@secret"}))]
    {
        let task = Task::from_fn("echo", echo).id(id).args(args).unwrap().every(seconds(4_007));
        scheduler.add_task(task.replace_existing(true)).await.unwrap();
        scheduler.run_task(id).await.unwrap();
    }
    clock.advance(seconds(1)).await;
    scheduler.stop().await.unwrap();
}

/// What a store with these keys has of the last runs: results and errors.
async fn told(place: &Place, keys: &[&str]) -> Vec<(Option<Value>, Option<String>)> {
    let mut runs = store(place, keys).runs(&RunFilter::new()).await.unwrap();
    runs.sort_by(|a, b| b.task.cmp(&a.task));
    runs.into_iter().map(|run| (run.value, run.error)).collect()
}

/// All that the server has of the definitions and the results.
async fn kept(place: &Place) -> String {
    let mut all = String::new();
    for name in [":definitions", ":results", ":runs"] {
        let hash: Vec<String> = place.ask(redis::cmd("HGETALL").arg(place.key(name))).await;
        all.extend(hash);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_has_no_secret_and_the_scheduler_has_them_all() {
    let (plain, sealed) = (Place::server(), Place::server());
    run_two(&plain, &[]).await;
    run_two(&sealed, &[OLD]).await;

    let (plain_kept, sealed_kept) = (kept(&plain).await, kept(&sealed).await);

    for secret in ["joe@secret", "\"interval\"", "no such"] {
        assert!(plain_kept.contains(secret) && !sealed_kept.contains(secret), "{secret}");
    }
    assert!(sealed_kept.contains("letters") && sealed_kept.contains("asyncz:xc20p:a048ad90:"));
    for (place, keys) in [(&plain, &[][..]), (&sealed, &[OLD][..])] {
        let expected =
            [(Some(json!({"to": "joe@secret"})), None), (None, Some("no such joe@secret".to_owned()))];
        assert_eq!(told(place, keys).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_fails_the_start_and_a_new_one_takes_the_old_ones_place() {
    let place = Place::server();
    run_two(&place, &[OLD]).await;
    let refusal = async |keys: &[&str]| store(&place, keys).start().await.unwrap_err().to_string();

    let wrong = refusal(&[NEW]).await;
    let none = refusal(&[]).await;

    assert!(wrong.contains("encrypted with key `a048ad90`, and encryption_keys has `"), "{wrong}");
    assert!(none.contains("key `a048ad90`, and there is no key: set ASYNCZ_STORE_ENCRYPTION_KEY"), "{none}");
    assert_eq!(told(&place, &[OLD]).await.len(), 2);

    run_two(&place, &[NEW, OLD]).await;

    assert!(refusal(&[OLD]).await.contains("encryption_keys has `a048ad90`"));
    assert_eq!(told(&place, &[NEW, OLD]).await.len(), 4);
    assert!(!kept(&place).await.contains("joe@secret"));
}
