//! Urls, names, users, and servers that won't do.

use asyncz::stores::Query;
use asyncz::{RedisStore, RunFilter, Store, redis};

use super::between::server_that_says;
use super::{Place, started, with_a_history};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opens_again_after_its_shutdown() {
    let place = Place::server();
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();
    let store = started(&place).await;

    store.shutdown().await.unwrap();

    assert_eq!(store.query(Query::All).await.unwrap().tasks.len(), 1);
    store.shutdown().await.unwrap();
    store.start().await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_of_other_names_know_nothing_of_each_other() {
    let place = Place::server();
    let (_clock, scheduler) = with_a_history(&place).await;
    let others = [
        place.store().prefix(format!("{}_other", place.prefix)),
        place.store().tasks_key("others"),
        place.store().database(1),
    ];

    for other in others {
        assert_eq!(other.count().await.unwrap(), 0);
        assert!(other.runs(&RunFilter::new()).await.unwrap().is_empty());
    }
    scheduler.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_stand_where_the_names_say() {
    let place = Place::server();
    let store = place.store().tasks_key("mine").run_times_key("when");
    let (_, config) = crate::scheduler::at_noon();
    let scheduler = config.store("default", store).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(super::every_ten_seconds("t")).await.unwrap();

    let all = format!("*{}*", place.prefix);
    let keys: Vec<String> = place.ask(redis::cmd("KEYS").arg(all)).await;

    let root = format!("{{{}}}:mine", place.prefix);
    assert!(keys.iter().all(|key| key.starts_with(&root)), "{keys:?}");
    assert!(keys.iter().any(|key| key.starts_with(&format!("{root}:when:"))), "{keys:?}");
    assert!(keys.contains(&root), "{keys:?}");
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_address_is_refused_and_told_of_without_its_password() {
    for (url, why) in [
        ("postgres://joe:secret@host/0", "it begins with redis://"),
        ("joe:secret@host", "it begins with redis://"),
        ("redis://joe:secret@127.0.0.1:1", "can't be opened"),
        ("redis+cluster://joe:secret@127.0.0.1:1,127.0.0.1:2", "can't be opened"),
        ("redis://joe:secret@host:port", "is no address of RedisStore"),
        ("unix+cluster://joe:secret@path", "it begins with redis://"),
    ] {
        for store in [RedisStore::new(url), RedisStore::new(url).username("joe").password("secret")] {
            let error = store.start().await.unwrap_err();

            assert!(error.to_string().contains(why), "{error}");
            assert!(!format!("{error} {error:?} {store:?}").contains("secret"), "{error:?} {store:?}");
        }
    }
}

#[tokio::test]
async fn names_that_would_break_the_keys_are_refused() {
    let store = || RedisStore::new("redis://localhost");
    for (store, why) in [
        (store().prefix(""), "prefix ``: write 1 to 200 characters without blanks and braces"),
        (store().prefix("a{b}"), "prefix `a{b}`"),
        (store().tasks_key("a b"), "tasks_key `a b`"),
        (store().run_times_key("line\n"), "run_times_key `line\n`"),
        (store().run_times_key("runs"), "run_times_key `runs` is the name of another key"),
        (RedisStore::new("redis+cluster://localhost").database(1), "has only the database 0"),
    ] {
        let error = store.start().await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_or_throws_keys_away_is_refused() {
    for (info, why) in [
        (
            "redis_version:6.0.16\r\nmaxmemory_policy:noeviction\r\n",
            Some("is Redis 6.0.16, which is too old: RedisStore needs version 6.2 or later"),
        ),
        (
            "redis_version:7.0.15\r\nmaxmemory_policy:allkeys-lru\r\n",
            Some("its maxmemory-policy is `allkeys-lru`. Set it to `noeviction`"),
        ),
        ("redis_version:6.2.0\r\nmaxmemory_policy:noeviction\r\n", None),
        ("redis_version:10.0.0\r\nmaxmemory_policy:volatile-lru\r\n", None),
        // It says nothing: that is logged.
        ("redis_version:7.2.4\r\n", None),
    ] {
        let store = RedisStore::new(server_that_says(info).await);

        let opened = store.start().await;

        match why {
            Some(why) => assert!(opened.unwrap_err().to_string().contains(why), "{info}"),
            None => opened.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_real_server_says_what_it_is_refused_for() {
    let info: String = Place::server().ask(&redis::cmd("INFO")).await;

    for field in ["\nredis_version:", "\nmaxmemory_policy:noeviction"] {
        assert!(info.contains(field), "{info}");
    }
}

#[tokio::test]
async fn a_user_with_a_password_needs_no_more_than_the_stores_keys() {
    let place = Place::server();
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER")
        .arg(&place.prefix)
        .arg("on")
        .arg(">pass word")
        .arg(format!("~{{{}}}:*", place.prefix));
    user.arg("&*").arg("+@all").arg("-info").arg("-@dangerous");
    place.ask::<()>(&user).await;

    let with_password = place.store().username(&place.prefix).password("pass word");
    with_password.start().await.unwrap();
    with_password.put(&[asyncz::stores::Edit::Insert(super::backlog::task("t", 0))]).await.unwrap();
    assert_eq!(with_password.count().await.unwrap(), 1);

    let error = place.store().username(&place.prefix).password("wrong word").start().await.unwrap_err();
    assert!(error.to_string().contains("can't be opened"), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong word"), "{error:?}");
}
