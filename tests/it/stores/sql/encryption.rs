//! Encryption at rest, on SQLite: what the file has, and what is told where a key is missing.

use std::process::Command;

use asyncz::stores::{Query, SqlStore};
use asyncz::{Args, AsynczConfig, RunFilter, RunRecord, Scheduler, Store, Task};
use serde_json::{Value, json};

use super::Place;
use crate::scheduler::{at_noon, nothing, seconds};

const OLD: &str = "Vm9yIEdlYnJhdWNoIGVyc2V0emVuISBGb3IgdGVzdHM=";
const NEW: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
/// What a text sealed with `OLD` begins with.
const BY_OLD: &str = "asyncz:xc20p:a048ad90:";

fn store(place: &Place, keys: &[&str]) -> SqlStore {
    if keys.is_empty() { place.store() } else { place.store().encryption_keys(keys.iter().copied()) }
}

/// Why a store can't be started with these keys.
async fn refusal(place: &Place, keys: &[&str]) -> String {
    store(place, keys).start().await.unwrap_err().to_string()
}

async fn echo(Args(args): Args<Value>) -> Result<Value, String> {
    match args["fails"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(args),
    }
}

/// A scheduler at noon on a store with these keys, that has run tasks with these arguments once.
async fn ran(place: &Place, keys: &[&str], tasks: &[(&str, Value)]) -> Scheduler {
    let (clock, config) = at_noon();
    let scheduler = config.store("default", store(place, keys)).scheduler();
    scheduler.start().await.unwrap();
    for (id, args) in tasks {
        let task = Task::from_fn("echo", echo).id(*id).args(args).unwrap().every(seconds(4_007));
        scheduler.add_task(task.replace_existing(true)).await.unwrap();
        scheduler.run_task(*id).await.unwrap();
    }
    clock.advance(seconds(1)).await;
    scheduler.stop().await.unwrap();
    scheduler
}

async fn run_of(place: &Place, keys: &[&str], task: &str) -> RunRecord {
    let runs = store(place, keys).runs(&RunFilter::new().task(task).limit(1)).await.unwrap();
    runs.into_iter().next().unwrap()
}

/// The whole file as text, what is not written into it yet included.
fn file(place: &Place) -> String {
    let path = place.url.trim_start_matches("sqlite://");
    let read = |end: &str| std::fs::read(format!("{path}{end}")).unwrap_or_default();
    ["", "-wal"].map(|end| String::from_utf8_lossy(&read(end)).into_owned()).concat()
}

async fn count(place: &Place, of: &str) -> i64 {
    place.sql(&format!("SELECT COUNT(*) FROM {{}}{of}")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_has_no_secret_and_the_scheduler_has_them_all() {
    let tasks =
        [("letters", json!({"to": "joe@secret"})), ("broken", json!({"fails": "no such joe@secret"}))];
    let secrets = ["joe@secret", "\"interval\"", "\"minutes\":6"];
    let (plain, sealed) = (Place::sqlite(), Place::sqlite());
    ran(&plain, &[], &tasks).await;
    ran(&sealed, &[OLD], &tasks).await;

    let (plain_file, sealed_file) = (file(&plain), file(&sealed));

    for secret in secrets {
        assert!(plain_file.contains(secret) && !sealed_file.contains(secret), "{secret}");
    }
    assert!(!sealed_file.contains(OLD));
    for said in ["letters", "broken", "echo", "\"max_instances\":1", BY_OLD] {
        assert!(sealed_file.contains(said), "{said}");
    }
    for place in [(&plain, &[][..]), (&sealed, &[OLD][..])] {
        assert_eq!(run_of(place.0, place.1, "letters").await.value, Some(tasks[0].1.clone()));
        assert_eq!(run_of(place.0, place.1, "broken").await.error.as_deref(), Some("no such joe@secret"));
        let found = store(place.0, place.1).query(Query::All).await.unwrap();
        assert_eq!(found.tasks[1].definition.args(), &tasks[0].1);
    }
    // Each text has a nonce of its own.
    ran(&sealed, &[OLD], &tasks[..1]).await;
    let twice = "(SELECT value FROM {}runs WHERE value IS NOT NULL GROUP BY value HAVING COUNT(*) > 1)";
    assert_eq!(place_count(&sealed, twice).await, 0);
    assert_eq!(count(&sealed, "runs WHERE value IS NOT NULL").await, 2);
}

async fn place_count(place: &Place, from: &str) -> i64 {
    place.sql(&format!("SELECT COUNT(*) FROM {from}")).await.unwrap()
}

/// Sealed by another implementation (HChaCha20 by hand, and ChaCha20-Poly1305 of OpenSSL) with the nonces 00 01 02 …, 01 02 03 …
/// and so on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_another_program_has_sealed_are_opened() {
    let place = Place::sqlite();
    ran(&place, &[OLD], &[("t", json!({"to": "somebody else"}))]).await;
    let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXkJ3XD1tkinFKtZ2WaMz4BAOUx4zTSK8RD9PLeBrueXCZhQKJ9pWL9AxI5qK5OAnrsViF\
                c8HTZZUMpEz/CKa6R1wA//D7UWX2B2PAqV0ALErGR8f1zIKvzy5Qn2Hl9cR32ujb1d9SKJeXhYWOcznkZjp/";
    let rules = r#""name":"n","executor":"default","coalesce":true,"max_instances":1,"max_catch_up":1"#;
    let sealed = format!(r#"{{"v":1,"id":"t","handler":"nothing",{rules},"sealed":"{BY_OLD}{text}"}}"#);
    place.sql(&format!("UPDATE {{}}tasks SET envelope = '{sealed}', edited = 1")).await;
    let run = format!("{:032x}", 7);
    let value = format!("\"{BY_OLD}AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY3slzrhaYH19mw29KjYwsz2kotRu0vEno3pk=\"");
    let error = format!("{BY_OLD}AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZCTZloD4RINmKzXpd13TBLFBpHSAc36QY8t888a0R");
    place.sql(&format!("UPDATE {{}}runs SET id = '{run}', value = '{value}', error = '{error}'")).await;
    let check =
        format!("{BY_OLD}AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaszByAP2L7S8+xkGw0lEgbT5CeYuhiEiDDsGILLtROYY=");
    place.sql(&format!("UPDATE {{}}marks SET mark = '{check}'")).await;

    let run = run_of(&place, &[OLD], "t").await;
    let found = store(&place, &[OLD]).query(Query::All).await.unwrap();

    assert_eq!((run.value, run.error.as_deref()), (Some(json!({"sent": 3})), Some("no such person")));
    assert_eq!(found.unreadable, []);
    assert_eq!(found.tasks[0].definition.args(), &json!({"to": "joe"}));
    assert_eq!(found.tasks[0].definition.trigger_digest, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_fails_the_start_is_named_and_changes_nothing() {
    let place = Place::sqlite();
    ran(&place, &[OLD], &[("t", json!({"to": "joe"}))]).await;
    let before = place.sql("SELECT SUM(LENGTH(envelope)) + SUM(version) FROM {}tasks").await;

    let wrong = refusal(&place, &[NEW]).await;
    let none = refusal(&place, &[]).await;
    let (_, config) = at_noon();
    let scheduler = config.store("default", store(&place, &[NEW])).scheduler();
    let told = format!("{:#}", anyhow::Error::from(scheduler.start().await.unwrap_err()));

    assert!(wrong.contains("encrypted with key `a048ad90`, and encryption_keys has `"), "{wrong}");
    assert!(none.contains("key `a048ad90`, and there is no key: set ASYNCZ_STORE_ENCRYPTION_KEY"), "{none}");
    assert!(told.contains("a048ad90"), "{told}");
    assert!(!format!("{wrong}{none}{told}{:?}", store(&place, &[OLD, NEW])).contains(OLD));
    assert_eq!(place.sql("SELECT SUM(LENGTH(envelope)) + SUM(version) FROM {}tasks").await, before);
    assert_eq!(count(&place, &format!("marks WHERE mark LIKE '{BY_OLD}%'")).await, 1);
    assert_eq!(run_of(&place, &[OLD], "t").await.value, Some(json!({"to": "joe"})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_encrypts_and_the_old_one_still_decrypts() {
    let place = Place::sqlite();
    ran(&place, &[OLD], &[("old", json!("old secret")), ("both", json!("first"))]).await;
    let by_old = format!("tasks WHERE envelope LIKE '%{BY_OLD}%'");

    ran(&place, &[NEW, OLD], &[("both", json!("second"))]).await;

    assert_eq!(count(&place, &by_old).await, 1);
    assert_eq!(run_of(&place, &[NEW, OLD], "old").await.value, Some(json!("old secret")));
    assert_eq!(run_of(&place, &[NEW], "both").await.value, Some(json!("second")));
    let found = store(&place, &[NEW]).query(Query::All).await.unwrap();
    assert_eq!(found.tasks.iter().map(|task| task.id().as_str()).collect::<Vec<_>>(), ["both"]);
    assert_eq!(found.unreadable[0].id, "old");
    assert!(found.unreadable[0].reason.contains("encrypted with key `a048ad90`"), "{found:?}");
    // Nothing is lost: with the old key it is there again.
    assert_eq!(store(&place, &[NEW, OLD]).query(Query::All).await.unwrap().tasks.len(), 2);
    assert!(refusal(&place, &[OLD]).await.contains("encryption_keys has `a048ad90`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_plain_is_read_and_encrypted_at_its_next_write() {
    let place = Place::sqlite();
    ran(&place, &[], &[("stays", json!("stays plain")), ("moves", json!("is sealed"))]).await;

    ran(&place, &[OLD], &[("moves", json!("is sealed"))]).await;

    assert_eq!(count(&place, "tasks WHERE envelope LIKE '%stays plain%'").await, 1);
    assert_eq!(count(&place, "tasks WHERE envelope LIKE '%is sealed%'").await, 0);
    let found = store(&place, &[OLD]).query(Query::All).await.unwrap();
    assert_eq!((found.tasks.len(), found.unreadable.len()), (2, 0));
    assert_eq!(run_of(&place, &[OLD], "stays").await.value, Some(json!("stays plain")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_looks_sealed_comes_back_as_it_was() {
    let looks = format!("{BY_OLD}AAAA");
    let tasks =
        [("value", json!(looks)), ("error", json!({"fails": looks})), ("plain", json!("asyncz:plain:"))];
    for keys in [&[][..], &[OLD][..]] {
        let place = Place::sqlite();
        ran(&place, keys, &tasks).await;

        assert_eq!(run_of(&place, keys, "value").await.value, Some(json!(looks)));
        assert_eq!(run_of(&place, keys, "error").await.error.as_deref(), Some(&*looks));
        assert_eq!(run_of(&place, keys, "plain").await.value, Some(json!("asyncz:plain:")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_stands_elsewhere_is_not_opened_is_told_of_and_kept() {
    let place = Place::sqlite();
    let tasks = ["a", "b", "c", "d", "e"].map(|id| (id, json!({"to": id})));
    ran(&place, &[OLD], &tasks).await;
    // Whole envelopes, the sealed part alone, another handler's, a bit, and another run's result.
    place
        .sql("UPDATE {}tasks SET envelope = (SELECT envelope FROM {}tasks WHERE id = 'e') WHERE id = 'a'")
        .await;
    let part = |id| format!("(SELECT json_extract(envelope, '$.sealed') FROM {{}}tasks WHERE id = '{id}')");
    let with = |part: &str, id| {
        format!("UPDATE {{}}tasks SET envelope = json_set(envelope, {part}) WHERE id = '{id}'")
    };
    place.sql(&with(&format!("'$.sealed', {}", part("e")), "b")).await;
    place.sql(&with("'$.handler', 'nothing'", "c")).await;
    place.sql(&with(&format!("'$.sealed', replace({}, 'A', 'B')", part("d")), "d")).await;
    let run = "(SELECT task_key FROM {}tasks WHERE id = 'a')";
    let value = "(SELECT value FROM {}runs JOIN {}tasks USING (task_key) WHERE {}tasks.id = 'e')";
    place.sql(&format!("UPDATE {{}}runs SET value = {value} WHERE task_key = {run}")).await;

    let store = store(&place, &[OLD]);
    let found = store.query(Query::All).await.unwrap();

    let mut told: Vec<_> = found.unreadable.iter().map(|record| record.id.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["a", "b", "c", "d"]);
    for record in &found.unreadable {
        assert!(record.reason.contains("belongs to another task"), "{}: {}", record.id, record.reason);
    }
    assert_eq!(found.tasks[0].definition.args(), &json!({"to": "e"}), "its neighbour is served");
    assert_eq!(count(&place, "tasks WHERE deleted = 0").await, 5, "they are kept");
    let run = run_of(&place, &[OLD], "a").await;
    assert!(run.value.is_none() && run.error.unwrap().contains("its result can't be read"));
    assert_eq!(run_of(&place, &[OLD], "b").await.value, Some(json!({"to": "b"})));
}

#[tokio::test]
async fn keys_that_are_none_are_refused_and_not_shown() {
    let place = Place::sqlite();

    let short = refusal(&place, &[OLD, "hunter2"]).await;
    let none = place.store().encryption_keys(Vec::<String>::new()).start().await.unwrap_err().to_string();

    assert!(short.contains("encryption_keys: key 2 of 2 has 7 characters, which is too short"), "{short}");
    assert!(short.contains("openssl rand -base64 32") && !short.contains("hunter2"), "{short}");
    assert!(none.contains("encryption_keys has no key"), "{none}");
}

const URL: &str = "ASYNCZ_ENCRYPTION_TEST_URL";

/// The child: a store that is told no keys; does nothing where nobody asks.
#[tokio::test]
async fn scene() {
    let Ok(url) = std::env::var(URL) else { return };
    let scheduler = AsynczConfig::new().without_registry().store("default", SqlStore::new(url)).scheduler();
    if let Err(error) = scheduler.start().await {
        panic!("{:#}", anyhow::Error::from(error));
    }
    let task = Task::from_fn("nothing", nothing).args(("joe@secret",)).unwrap().every(seconds(4_007));
    scheduler.add_task(task).await.unwrap();
    scheduler.stop().await.unwrap();
}

/// What a process says that has this in the variable.
fn process(place: &Place, variable: &str) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["stores::sql::encryption::scene", "--exact", "--nocapture"]).env(URL, &place.url);
    let output = child.env("ASYNCZ_STORE_ENCRYPTION_KEY", variable).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_keys_of_a_process_stand_in_a_variable() {
    let place = Place::sqlite();

    assert_eq!(process(&place, OLD), "");
    assert!(file(&place).contains(BY_OLD) && !file(&place).contains("joe@secret"));
    let wrong = process(&place, NEW);
    assert!(wrong.contains("a048ad90") && wrong.contains("ASYNCZ_STORE_ENCRYPTION_KEY has `"), "{wrong}");
    assert_eq!(process(&place, &format!("{NEW}, {OLD}")), "");
    for variable in ["", "hunter2", &format!("{NEW},")] {
        let told = process(&place, variable);
        assert!(told.contains("ASYNCZ_STORE_ENCRYPTION_KEY: key ") && told.contains("too short"), "{told}");
        assert!(!told.contains("hunter2") && !told.contains(NEW), "{told}");
    }
}
