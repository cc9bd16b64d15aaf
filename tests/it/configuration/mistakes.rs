//! What is wrong is told: all of it at once, with the way out, and without secrets.

use asyncz::{AsynczConfig, Configuration, MemoryStore, TypeOptions};
use serde_json::json;

use super::{problems, problems_of};

#[tokio::test]
async fn an_unknown_key_is_told_with_the_one_that_is_most_like_it() {
    for (key, meant) in [
        ("asyncz.timezon", "asyncz.timezone"),
        ("asyncz.Timezone", "asyncz.timezone"),
        ("asyncz.task_defaults.coalesc", "asyncz.task_defaults.coalesce"),
        ("asyncz.task_default.coalesce", "asyncz.task_defaults.coalesce"),
        ("asyncz.task_defaults.misfire_gracetime", "asyncz.task_defaults.misfire_grace_time"),
        ("asyncz.store.default.type", "asyncz.stores.default.type"),
        ("asyncz.executor.pool.max_workers", "asyncz.executors.pool.max_workers"),
    ] {
        let told = problems([(key, "memory")]).await;
        assert_eq!(told, [format!("there is no key `{key}`: did you mean `{meant}`?")]);
    }
}

#[tokio::test]
async fn a_key_like_no_other_is_told_with_those_there_are() {
    let told = problems([("asyncz.colour", "red"), ("asyncz.task_defaults.colour", "red")]).await;
    assert!(
        told[0].starts_with("there is no key `asyncz.colour`; there are: asyncz.drain_timeout, "),
        "{told:?}"
    );
    let of_tasks =
        "there is no key `asyncz.task_defaults.colour`; there are: asyncz.task_defaults.coalesce, ";
    assert!(told[1].starts_with(of_tasks), "{told:?}");
    assert!(!told[1].contains("drain_timeout"), "{told:?}");
}

#[tokio::test]
async fn an_unknown_option_of_a_type_is_told_with_those_it_has() {
    let told = problems(json!({"asyncz.executors": {
        "a": {"type": "threadpool", "max_worker": 3},
        "b": {"type": "threadpool", "colour": "red"},
        "c": {"type": "debug", "max_workers": 3},
    }}))
    .await;
    assert_eq!(
        told,
        [
            "there is no key `asyncz.executors.a.max_worker`: did you mean `asyncz.executors.a.max_workers`?",
            "there is no key `asyncz.executors.b.colour`; the options of `threadpool` are: max_workers",
            "there is no key `asyncz.executors.c.max_workers`; `debug` has no options",
        ]
    );
}

#[tokio::test]
async fn a_wrong_value_is_told_with_what_is_allowed() {
    for (key, value, allowed) in [
        ("start_paused", json!("perhaps"), "`perhaps`: write true or false"),
        ("task_defaults.max_instances", json!("0"), "`0`: write a whole number from 1 to 4294967295"),
        ("task_defaults.max_instances", json!(2.5), "`2.5`: write a whole number from 1 to 4294967295"),
        ("expect_tasks", json!(-1), "`-1`: write a whole number from 0 to 4294967295"),
        (
            "startup_delay",
            json!("soon"),
            "`soon`: write a number of seconds, or a time such as `30s` or `1h30m`",
        ),
        ("startup_delay", json!(-2), "`-2`: write a number of seconds, or a time such as `30s` or `1h30m`"),
        ("task_defaults.misfire_grace_time", json!("0s"), "`0s`: write a time above 0, or `none`"),
        ("timezone", json!("Berlin"), "`Berlin`: did you mean `Europe/Berlin`?"),
        ("timezone", json!(3), "`3`: write an IANA name such as `Europe/Berlin` or `UTC`"),
        ("task_defaults.recover", json!("retry"), "`retry`: write `rerun` or `abandon`"),
        ("identity", json!(" "), "` `: write a text that is not empty"),
        (
            "executors.pool.type",
            json!("thredpool"),
            "`thredpool`: there is no executor type of this name: did you mean \
                                                     `threadpool`?",
        ),
        ("stores.default.type", json!(7), "`7`: write the name of a store's type"),
    ] {
        let key = format!("asyncz.{key}");
        assert_eq!(problems([(&key, value)]).await, [format!("{key} {allowed}")]);
    }
}

#[tokio::test]
async fn a_type_that_is_missing_or_unknown_is_told() {
    let told = problems(json!({"asyncz.executors": {
        "a": {"max_workers": 3},
        "b": {"type": "debug", "class": "asyncz.executors.debug:DebugExecutor"},
        "c": {"class": "my.executors:FastExecutor"},
        "d": "threadpool",
        "e": {"type": "colours"},
    }}))
    .await;
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[0], "asyncz.executors.a: say which executor it is: its `type` is missing");
    assert_eq!(told[1], "asyncz.executors.b: `type` and `class` are one: write one of them");
    assert!(
        told[2].starts_with("asyncz.executors.c.class `my.executors:FastExecutor`: write a class of Asyncz")
    );
    assert_eq!(
        told[3],
        "asyncz.executors.d `threadpool`: write keys below it, such as `asyncz.executors.d.type`"
    );
    assert!(told[4].contains("asyncio, tokio, threadpool"), "{told:?}");
    assert!(told[4].contains("register_executor_type"), "{told:?}");
}

#[tokio::test]
async fn two_keys_for_one_thing_are_told() {
    let told = problems(json!({"asyncz": {
        "task_defaults": {"misfire_grace_time": 1, "mistrigger_grace_time": 2, "timezone": "UTC"},
        "timezone": "Asia/Tokyo",
    }}))
    .await;
    assert_eq!(
        told,
        [
            "`asyncz.task_defaults.misfire_grace_time` and `asyncz.task_defaults.mistrigger_grace_time` are one: write \
             one of them",
            "`asyncz.task_defaults.timezone` is UTC and `asyncz.timezone` is Asia/Tokyo: they are one, write one of them",
        ]
    );
    let twice = json!({"asyncz.timezone": "UTC", "asyncz": {"timezone": "UTC"}});
    assert_eq!(problems(twice).await, ["asyncz.timezone: it is given twice"]);
}

#[tokio::test]
async fn keys_without_their_prefix_are_told() {
    assert_eq!(
        problems([("timezone", "UTC")]).await,
        ["there is no key `timezone`: did you mean `asyncz.timezone`?"]
    );
    assert_eq!(
        problems([("asynz.timezone", "UTC")]).await,
        ["there is no key `asynz.timezone`: keys begin with `asyncz.`"]
    );
    assert_eq!(problems([1, 2]).await, ["a configuration is a map of keys to values"]);
    assert_eq!(problems(json!({"asyncz": "memory"})).await, ["asyncz: write a map of keys to values"]);
}

#[tokio::test]
async fn keys_of_asyncz_that_mean_nothing_here_say_what_does() {
    for (key, instead) in
        [("loggers_class", "tracing"), ("event_loop", "AsynczConfig::runtime"), ("timeout", "start_timeout")]
    {
        let told = problems([(format!("asyncz.{key}"), "asyncz.schedulers.base:ClassicLogging")]).await;
        assert!(told[0].starts_with(&format!("there is no key `asyncz.{key}`: ")), "{told:?}");
        assert!(told[0].contains(instead), "{told:?}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_at_the_start() {
    let config = AsynczConfig::new().without_registry().timezone("Berlin").configuration([
        ("asyncz.start_paused", "perhaps"),
        ("asyncz.colour", "red"),
        ("asyncz.stores.default.type", "memroy"),
    ]);
    let error = config.scheduler().start().await.unwrap_err().to_string();
    for part in ["`Berlin`", "`perhaps`", "`asyncz.colour`", "did you mean `memory`?"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

const SECRET: &str = "hunter2";

/// A configuration that is wrong everywhere, and full of secrets.
fn secrets() -> serde_json::Value {
    let url = format!("redis://me:{SECRET}@host/0");
    json!({"asyncz": {
        "timezone": url,
        "identity": {"password": SECRET},
        "startup_delay": url,
        "colour": url,
        "stores": {
            "a": url,
            "b": {"type": url},
            "c": {"type": "memory", "url": url, "password": SECRET},
            "d": {"type": "strict", "url": url, "encryption_key": SECRET, "pin": SECRET},
            "e": {"type": "strict", "url": [url]},
            "f": {"class": url},
        },
        "executors": {"a": {"type": "pool", "max_workers": url}},
    }})
}

#[tokio::test]
async fn a_secret_is_never_shown() {
    /// As careless as can be: it tells everything it was given.
    fn strict(options: &mut TypeOptions) -> Result<MemoryStore, String> {
        let (url, key, pin) = (options.text("url"), options.text("encryption_key"), options.secret("pin"));
        options.refuse("nothing", "of the kind");
        Err(format!("no connection to {url:?} with {key:?} and {pin:?}"))
    }
    let config = AsynczConfig::new().without_registry().register_store_type("strict", strict);
    let scheduler = config.scheduler();

    let told = problems_of(scheduler.setup(secrets()).await);

    assert_eq!(told.len(), 12, "{told:#?}");
    for problem in &told {
        assert!(!problem.contains(SECRET), "{problem}");
    }
    assert!(told.iter().any(|problem| problem.contains("no connection to")), "{told:#?}");
    let configuration = Configuration::from(secrets());
    assert!(!format!("{configuration:?} {configuration:#?}").contains(SECRET));
    let config = config.configuration(configuration);
    assert!(!format!("{config:?}").contains(SECRET));
    let error = config.scheduler().start().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
}
