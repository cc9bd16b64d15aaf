//! Types of stores and executors, and values of all kinds.

use asyncz::{AsynczConfig, Configuration, SchedulerConfig};
use serde_json::json;

use super::{problems, right};
use crate::scheduler::seconds;

fn kind_of(part: &str, kind: &str, key: &str) -> Result<String, String> {
    let config = AsynczConfig::new().configuration([(format!("asyncz.{part}.default.{key}"), kind)]);
    let info = config.scheduler().info();
    let (stores, executors) =
        (info.stores.into_iter().map(|store| store.kind), info.executors.into_iter().map(|e| e.kind));
    stores.chain(executors).next().ok_or_else(|| kind.to_owned())
}

#[test]
fn the_executors_of_asyncz_are_known_by_type_and_by_class() {
    for (types, class, kind) in [
        (&["asyncio", "tokio"][..], "asyncz.executors.asyncio:AsyncIOExecutor", "AsyncExecutor"),
        (&["pool", "threadpool"], "asyncz.executors.pool:ThreadPoolExecutor", "ThreadPoolExecutor"),
        (&["debug"], "asyncz.executors.debug:DebugExecutor", "DebugExecutor"),
        (&["debug"], "asyncz.executors.DebugExecutor", "DebugExecutor"),
        #[cfg(feature = "process")]
        (&["processpool"], "asyncz.executors.process_pool:ProcessPoolExecutor", "ProcessPoolExecutor"),
    ] {
        for name in types {
            assert_eq!(kind_of("executors", name, "type").as_deref(), Ok(kind));
        }
        assert_eq!(kind_of("executors", class, "class").as_deref(), Ok(kind));
    }
}

#[test]
fn a_store_in_memory_is_known_by_type_and_by_class() {
    assert_eq!(kind_of("stores", "memory", "type").as_deref(), Ok("MemoryStore"));
    assert_eq!(kind_of("stores", "asyncz.stores.memory:MemoryStore", "class").as_deref(), Ok("MemoryStore"));
}

#[tokio::test]
async fn each_store_of_asyncz_is_known_or_its_feature_named() {
    let by_type = ["file", "sqlite", "postgres", "mysql", "sql", "sqlalchemy", "redis", "mongodb", "mongo"];
    let classes = ["file:FileStore", "redis:RedisStore", "mongo:MongoDBStore", "sqlalchemy:SQLAlchemyStore"];
    let by_class = classes.map(|class| ("class", format!("asyncz.stores.{class}")));
    for (key, name) in by_type.map(|name| ("type", name.to_owned())).into_iter().chain(by_class) {
        let told = problems([(format!("asyncz.stores.default.{key}"), &name)]).await;
        // What it says of a store that is there, such as a missing address, is that store's.
        let unknown =
            told.iter().any(|problem| problem.contains("there is no") || problem.contains("of Asyncz"));
        assert!(!unknown, "{name}: {told:?}");
        if let Some(feature) = told.iter().find(|problem| problem.contains("feature")) {
            let said =
                format!("asyncz.stores.default.{key}: store type \"{name}\" needs the cargo feature \"");
            assert!(feature.starts_with(&said), "{feature}");
        }
    }
}

/// Said by an error: what there is, in the code's own words.
fn listed(told: &[String], before: &str) -> Vec<String> {
    let list = told.iter().find_map(|problem| problem.split_once(before)).map(|(_, list)| list);
    let list = list.map(|list| list.split(';').next().unwrap_or_default()).unwrap_or_default();
    list.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_type_and_each_option_is_documented() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scheduler/configuration/mod.rs");
    let page = std::fs::read_to_string(file).unwrap();
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("/// | `")).collect();
    let is_told = |names: &[&str]| {
        rows.iter().any(|row| names.iter().all(|name| format!("`{row}").contains(&format!("`{name}`"))))
    };
    for part in ["stores", "executors"] {
        let types = listed(&problems([(format!("asyncz.{part}.a.type"), "?")]).await, "there are: ");
        assert!(types.len() >= 4, "{types:?}");
        let mut found = 0;
        for name in types {
            assert!(is_told(&[&name]), "{part}: `{name}` is not in the table");
            let (kind, option) = (format!("asyncz.{part}.a.type"), format!("asyncz.{part}.a.?"));
            let told = problems([(kind, &*name), (option, "1")]).await;
            for option in listed(&told, &format!("the options of `{name}` are: ")) {
                assert!(is_told(&[&name, &option]), "`{option}` of `{name}` is not in the table");
                found += 1;
            }
        }
        assert!(found > 0, "no type of {part} tells its options");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_store_in_a_database_is_told_where_it_is() {
    use asyncz::{RunFilter, Task};

    use crate::scheduler::{at_noon, nothing};

    let file = std::env::temp_dir().join(format!("asyncz-{}-types.db", std::process::id()));
    let url = format!("sqlite://{}", file.display());
    for (kind, name) in [
        ("type", "sqlite"),
        ("type", "sql"),
        ("type", "sqlalchemy"),
        ("class", "asyncz.stores.sqlalchemy:SQLAlchemyStore"),
    ] {
        let (clock, config) = at_noon();
        let store =
            json!({kind: name, "url": url, "table_prefix": "app_", "lease": "20s", "max_connections": "3"});
        let scheduler = config.configuration(json!({"asyncz.stores.default": store})).scheduler();
        scheduler.start().await.unwrap();
        let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).replace_existing(true);
        scheduler.add_task(task).await.unwrap();
        clock.advance(seconds(30)).await;
        assert!(!scheduler.runs(RunFilter::new().task("t")).await.unwrap().is_empty(), "{name}");
        assert_eq!(scheduler.info().stores[0].kind, "SqlStore");
        scheduler.stop().await.unwrap();
    }
    for ending in ["", "-wal", "-shm"] {
        // Those of the log go with the last connection.
        _ = std::fs::remove_file(format!("{}{ending}", file.display()));
    }

    let told = problems(json!({"asyncz.stores": {
        "a": {"type": "sqlite"},
        "b": {"type": "sqlite", "url": "postgres://me:hunter2@host/db"},
        "c": {"type": "sql", "url": "oracle://me:hunter2@host", "table_prefx": "x"},
        "d": {"type": "sqlite", "url": url, "max_connections": 0},
    }}))
    .await;
    assert_eq!(
        told,
        [
            "asyncz.stores.a: its `url` is missing: write an address that begins with `sqlite:`",
            "asyncz.stores.b.url: write an address that begins with `sqlite:`",
            "asyncz.stores.c.url: write an address that begins with `sqlite:` or `postgres:` or `postgresql:` or \
             `mysql:` or `mariadb:`",
            "there is no key `asyncz.stores.c.table_prefx`: did you mean `asyncz.stores.c.table_prefix`?",
            "asyncz.stores.d.max_connections `0`: write a whole number from 1 to 4294967295",
        ]
    );
}

#[cfg(all(feature = "file", unix))]
#[tokio::test]
async fn a_store_in_a_directory_is_told_where_it_is() {
    use asyncz::{RunFilter, Task};

    use crate::scheduler::{at_noon, nothing};

    let directory = std::env::temp_dir().join(format!("asyncz-{}-types", std::process::id()));
    for (kind, name) in [("type", "file"), ("class", "asyncz.stores.file:FileStore")] {
        let (clock, config) = at_noon();
        let store = json!({kind: name, "directory": directory.to_str(), "lease": "20s"});
        let scheduler = config.configuration(json!({"asyncz.stores.default": store})).scheduler();
        scheduler.start().await.unwrap();
        let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).replace_existing(true);
        scheduler.add_task(task).await.unwrap();
        clock.advance(seconds(30)).await;
        assert!(!scheduler.runs(RunFilter::new().task("t")).await.unwrap().is_empty(), "{name}");
        assert_eq!(scheduler.info().stores[0].kind, "FileStore");
        scheduler.stop().await.unwrap();
    }
    std::fs::remove_dir_all(&directory).unwrap();

    let told = problems(json!({"asyncz.stores": {
        "a": {"type": "file"},
        "b": {"type": "file", "directory": "/tmp/x", "lease": "soon", "suffix": ".task"},
    }}))
    .await;
    assert_eq!(
        told[0],
        "asyncz.stores.a: its `directory` is missing: write a path, such as `/var/lib/app/tasks`"
    );
    assert!(told[1].starts_with("asyncz.stores.b.lease `soon`"), "{told:?}");
    assert_eq!(
        told[2],
        "there is no key `asyncz.stores.b.suffix`; the options of `file` are: directory, lease"
    );
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_store_in_redis_is_told_where_it_is() {
    use asyncz::{RunFilter, Task};

    use crate::scheduler::{at_noon, nothing};
    use crate::stores::RedisPlace;

    let place = RedisPlace::server();
    let (host, port) = place.url.trim_start_matches("redis://").rsplit_once(':').unwrap();
    let keys =
        json!({"prefix": place.prefix, "tasks_key": "asyncz.tasks", "run_times_key": "asyncz.run_times"});
    for (n, at) in [
        json!({"type": "redis", "url": place.url, "lease": "20s"}),
        json!({"type": "redis", "host": host, "port": port, "database": "2", "server_clock": "no"}),
        json!({"class": "asyncz.stores.redis:RedisStore", "host": host, "port": port, "db": 2}),
    ]
    .into_iter()
    .enumerate()
    {
        let (clock, config) = at_noon();
        let mut store = keys.clone();
        let options = store.as_object_mut().unwrap();
        options.insert("server_clock".to_owned(), json!(false));
        options.extend(at.as_object().unwrap().clone());
        let scheduler = config.configuration(json!({"asyncz.stores.default": store})).scheduler();
        scheduler.start().await.unwrap();
        let runs = async || scheduler.runs(RunFilter::new().task("t")).await.unwrap().len();
        // The last two are one database.
        assert_eq!(runs().await, [0, 0, 3][n], "{n}");
        let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).replace_existing(true);
        scheduler.add_task(task).await.unwrap();
        clock.advance(seconds(30)).await;
        assert_eq!(runs().await, 3, "{n}");
        assert_eq!(scheduler.info().stores[0].kind, "RedisStore");
        scheduler.stop().await.unwrap();
    }

    let told = problems(json!({"asyncz.stores": {
        "a": {"type": "redis", "url": "http://me:hunter2@host"},
        "b": {"type": "redis", "url": "redis://me:hunter2@host", "host": "other", "port": 6379},
        "c": {"type": "redis", "port": 70000, "password": "hunter2", "prefx": "x"},
    }}))
    .await;
    assert_eq!(
        told,
        [
            "asyncz.stores.a.url: write an address that begins with `redis://`, `rediss://` or `redis+cluster://`",
            "asyncz.stores.b.host `other`: leave it out: `url` says where the server is",
            "asyncz.stores.b.port `6379`: leave it out: `url` says where the server is",
            "asyncz.stores.c.port `70000`: write a whole number from 1 to 65535",
            "there is no key `asyncz.stores.c.prefx`: did you mean `asyncz.stores.c.prefix`?",
        ]
    );
}

#[cfg(feature = "mongodb")]
#[tokio::test]
async fn a_store_in_mongodb_is_told_where_it_is() {
    use asyncz::{RunFilter, Task};

    use crate::scheduler::{at_noon, nothing};
    use crate::stores::MongoPlace;

    let MongoPlace { url, collection, .. } = MongoPlace::new();
    for (kind, name) in
        [("type", "mongodb"), ("type", "mongo"), ("class", "asyncz.stores.mongo:MongoDBStore")]
    {
        let (clock, config) = at_noon();
        let store = json!({
            kind: name, "url": url, "database": "asyncz_tests", "collection": collection, "lease": "20s",
            "server_clock": false,
        });
        let scheduler = config.configuration(json!({"asyncz.stores.default": store})).scheduler();
        scheduler.start().await.unwrap();
        let task = Task::from_fn("nothing", nothing).id("t").every(seconds(10)).replace_existing(true);
        scheduler.add_task(task).await.unwrap();
        clock.advance(seconds(30)).await;
        assert!(!scheduler.runs(RunFilter::new().task("t")).await.unwrap().is_empty(), "{name}");
        assert_eq!(scheduler.info().stores[0].kind, "MongoStore");
        scheduler.stop().await.unwrap();
    }
    let runs = MongoPlace { url, collection }.collection("runs").await;
    assert_eq!(runs.count_documents(asyncz::mongodb::bson::doc! { "task": "t" }).await.unwrap(), 3);

    let told = problems(json!({"asyncz.stores": {
        "a": {"type": "mongodb"},
        "b": {"type": "mongo", "url": "redis://me:hunter2@host/0"},
        "c": {"type": "mongodb", "url": "mongodb://me:hunter2@host", "colection": "x", "lease": "soon"},
    }}))
    .await;
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(
        told[0],
        "asyncz.stores.b.url: write an address that begins with `mongodb:` or `mongodb+srv:`"
    );
    assert!(
        told.iter().any(|problem| problem.contains("did you mean `asyncz.stores.c.collection`?")),
        "{told:?}"
    );
    assert!(told.iter().any(|problem| problem.starts_with("asyncz.stores.c.lease")), "{told:?}");
    assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
}

#[tokio::test]
async fn each_value_may_be_written_as_a_text() {
    for value in [json!(true), json!("true"), json!("True"), json!("yes"), json!(1), json!(" on ")] {
        right(json!({"asyncz.start_paused": value})).await;
        let enabled = Configuration::from(json!({"asyncz.enable_scheduler": value}));
        assert!(enabled.enable_scheduler());
    }
    for value in [json!(false), json!("false"), json!("False"), json!("no"), json!(0), json!("off")] {
        assert!(!Configuration::from(json!({"asyncz.enable_scheduler": value})).enable_scheduler());
    }
    for value in [json!(20), json!("20"), json!(" 20 ")] {
        let pool = json!({"asyncz.executors.pool": {"type": "pool", "max_workers": value}});
        let config = AsynczConfig::new().configuration(pool);
        assert_eq!(config.scheduler().info().executors[0].workers, Some(20));
    }
}

#[test]
fn times_are_numbers_of_seconds_or_have_units() {
    for (written, time) in [
        (json!(90), seconds(90)),
        (json!(90.0), seconds(90)),
        (json!("90"), seconds(90)),
        (json!("90s"), seconds(90)),
        (json!("1m30s"), seconds(90)),
        (json!(0.25), std::time::Duration::from_millis(250)),
        (json!("250ms"), std::time::Duration::from_millis(250)),
    ] {
        let config = AsynczConfig::new().configuration(json!({"asyncz.drain_timeout": written}));
        assert_eq!(SchedulerConfig::drain_timeout(&config), time, "{written}");
    }
}

#[tokio::test]
async fn both_spellings_of_the_grace_time_are_known_and_none_is_a_time() {
    for key in ["misfire_grace_time", "mistrigger_grace_time"] {
        for value in [json!(30), json!("30s"), json!("none"), json!("None"), json!(null)] {
            right(json!({"asyncz": {"task_defaults": {key: value}}})).await;
        }
    }
}

#[tokio::test]
async fn the_two_keys_of_the_zone_are_one() {
    right([("asyncz.timezone", "UTC"), ("asyncz.task_defaults.timezone", "UTC")]).await;
    let config = AsynczConfig::new().configuration([("asyncz.task_defaults.timezone", "Asia/Tokyo")]);
    assert_eq!(config.scheduler().info().timezone.name(), "Asia/Tokyo");
}

#[tokio::test]
async fn nothing_is_a_configuration_too() {
    right(()).await;
    right(json!({})).await;
    right(json!({"asyncz": {}})).await;
    right(json!({"asyncz": {"stores": {}, "executors": {}, "task_defaults": {}}})).await;
    right(Configuration::new()).await;
}

#[tokio::test]
async fn keys_of_the_application_are_passed_over() {
    right(json!({"server": {"port": 80}, "timezone": "Mars", "asyncz": {"timezone": "UTC"}})).await;
}
