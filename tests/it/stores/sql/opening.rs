//! Urls, names, and the tables that are made.

use std::sync::Arc;

use asyncz::Store;
use asyncz::stores::{Query, SqlStore};

use super::{Place, every_ten_seconds, on_each_database, started, with_a_history};
use crate::scheduler::at_noon;

on_each_database! {
    stores_that_open_at_once_make_the_tables_once
    a_program_works_with_tables_one_version_newer_and_refuses_later_ones
    the_printed_migrations_make_the_tables
    stores_of_two_prefixes_know_nothing_of_each_other
    a_store_opens_again_after_its_shutdown
}

async fn stores_that_open_at_once_make_the_tables_once(place: Place) {
    let stores: Vec<_> = (0..8).map(|_| Arc::new(place.store())).collect();
    let opening = stores.iter().cloned().map(|store| tokio::spawn(async move { store.start().await }));

    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }

    assert_eq!(place.sql("SELECT COUNT(*) FROM {}schema_version").await, Some(2));
    for store in stores {
        assert_eq!(store.count().await.unwrap(), 0);
    }
}

async fn a_program_works_with_tables_one_version_newer_and_refuses_later_ones(place: Place) {
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();

    place.sql("INSERT INTO {}schema_version (version) VALUES (3)").await;
    assert_eq!(started(&place).await.count().await.unwrap(), 1);
    place.sql("INSERT INTO {}schema_version (version) VALUES (4)").await;
    let error = place.store().start().await.unwrap_err().to_string();

    assert!(error.contains("version 4") && error.contains("update the program"), "{error}");
    assert_eq!(place.sql("SELECT COUNT(*) FROM {}tasks").await, Some(1));
}

async fn the_printed_migrations_make_the_tables(place: Place) {
    let script = place.store().migrations().unwrap();

    place.sql(&script).await;

    let (_clock, scheduler) = with_a_history(&place).await;
    assert_eq!(scheduler.runs(asyncz::RunFilter::new()).await.unwrap().len(), 2);
    scheduler.stop().await.unwrap();
}

async fn stores_of_two_prefixes_know_nothing_of_each_other(place: Place) {
    let (_clock, scheduler) = with_a_history(&place).await;
    let other = place.store().table_prefix(format!("{}other_", place.prefix));

    assert_eq!(other.count().await.unwrap(), 0);
    assert!(other.runs(&asyncz::RunFilter::new()).await.unwrap().is_empty());
    scheduler.stop().await.unwrap();
}

async fn a_store_opens_again_after_its_shutdown(place: Place) {
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();
    let store = started(&place).await;

    store.shutdown().await.unwrap();

    assert_eq!(store.query(Query::All).await.unwrap().tasks.len(), 1);
    store.shutdown().await.unwrap();
    store.start().await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1);
}

#[tokio::test]
async fn the_tables_stand_in_the_schema_that_is_said() {
    let place = Place::postgres();
    let schema = place.prefix.trim_end_matches('_').to_owned();
    let (_clock, config) = at_noon();
    let store = SqlStore::new(&place.url).schema(&schema).server_clock(false);
    let scheduler = config.store("default", store).scheduler();
    scheduler.start().await.unwrap();

    scheduler.add_task(every_ten_seconds("t")).await.unwrap();

    assert_eq!(place.sql(&format!("SELECT COUNT(*) FROM {schema}.asyncz_tasks")).await, Some(1));
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_url_of_no_database_is_refused_and_told_of_without_its_password() {
    for (url, why) in [
        ("redis://joe:secret@host/0", "begins with sqlite:, postgres:, mysql: or mariadb:"),
        ("sqlite::memory:", "use MemoryStore"),
        ("postgres://joe:secret@127.0.0.1:1/none?password=secret", "can't be opened"),
        ("mysql://joe:secret@127.0.0.1:1/none", "can't be opened"),
    ] {
        let store = SqlStore::new(url);

        let error = store.start().await.unwrap_err();

        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error} {error:?} {store:?}").contains("secret"), "{error:?} {store:?}");
    }
    let error = SqlStore::new("sqlite://x.db").table_prefix("a; drop table").start().await.unwrap_err();
    assert!(error.to_string().contains("table_prefix `a; drop table`"), "{error}");
    let error = SqlStore::new("sqlite://x.db").schema("s").start().await.unwrap_err();
    assert!(error.to_string().contains("only PostgreSQL has schemas"), "{error}");
}
