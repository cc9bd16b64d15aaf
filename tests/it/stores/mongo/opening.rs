//! Addresses, names, and the collections that are made.

use std::process::{Command, Stdio};
use std::sync::Arc;

use asyncz::mongodb::Client;
use asyncz::mongodb::bson::doc;
use asyncz::stores::Query;
use asyncz::{MongoStore, RunFilter, Store};

use super::{Place, started, with_a_history};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_open_at_once_make_the_collections_once() {
    let place = Place::new();
    let stores: Vec<_> = (0..8).map(|_| Arc::new(place.store())).collect();
    let opening = stores.iter().cloned().map(|store| tokio::spawn(async move { store.start().await }));

    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }

    let version = place.collection("version").await;
    assert_eq!(version.count_documents(doc! {}).await.unwrap(), 1);
    let indexes = place.collection("runs").await.list_index_names().await.unwrap();
    assert_eq!(indexes, ["_id_", "task", "made", "open", "cancel"]);
    for store in stores {
        assert_eq!(store.count().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_program_works_with_documents_one_version_newer_and_refuses_later_ones() {
    let place = Place::new();
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();
    let version = place.collection("version").await;
    let say = async |number: i64| {
        version.update_one(doc! {}, doc! { "$set": { "version": number } }).await.unwrap()
    };

    say(2).await;
    assert_eq!(started(&place).await.count().await.unwrap(), 1);
    say(3).await;
    let error = place.store().start().await.unwrap_err().to_string();

    assert!(error.contains("version 3") && error.contains("update the program"), "{error}");
    assert_eq!(place.collection("tasks").await.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn an_index_of_other_fields_is_named() {
    let place = Place::new();
    let index =
        doc! { "createIndexes": &place.collection, "indexes": [{ "key": { "due_at": -1 }, "name": "due" }] };
    place.database().await.run_command(index).await.unwrap();

    let error = place.store().start().await.unwrap_err().to_string();

    assert!(error.contains(&format!("the index `due` of the collection `{}`", place.collection)), "{error}");
    assert!(error.contains("drop it"), "{error}");
}

#[tokio::test]
async fn stores_of_two_collections_know_nothing_of_each_other() {
    let place = Place::new();
    let (_clock, scheduler) = with_a_history(&place).await;
    let other = place.store().collection(format!("{}_other", place.collection));

    assert_eq!(other.count().await.unwrap(), 0);
    assert!(other.runs(&RunFilter::new()).await.unwrap().is_empty());
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_store_opens_again_after_its_shutdown() {
    let place = Place::new();
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
async fn a_client_of_the_programs_own_is_used_and_left_open() {
    let place = Place::new();
    let client = Client::with_uri_str(&place.url).await.unwrap();
    let store =
        MongoStore::with_client(client.clone()).database("asyncz_tests").collection(&place.collection);

    store.start().await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
    store.shutdown().await.unwrap();

    let found = client.database("asyncz_tests").list_collection_names().await.unwrap();
    assert!(found.contains(&place.collection), "{found:?}");
}

#[tokio::test]
async fn an_address_of_no_database_is_refused_and_told_of_without_its_password() {
    for (url, why) in [
        ("redis://joe:secret@host/0", "begins with mongodb:// or mongodb+srv://"),
        ("mongodb://joe:secret@/secret@host", "no address of MongoDB"),
        (
            "mongodb://joe:secret@127.0.0.1:1/?authSource=secret&serverSelectionTimeoutMS=200",
            "can't be opened",
        ),
    ] {
        let store = MongoStore::new(url);

        let error = store.start().await.unwrap_err();

        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error} {error:?} {store:?}").contains("secret"), "{error:?} {store:?}");
    }
    let error =
        MongoStore::new("mongodb://h/?directConnection=perhaps").start().await.unwrap_err().to_string();
    assert!(error.contains("`directconnection` option must be a boolean"), "{error}");
    let error = MongoStore::new("mongodb://h").database("a.b").start().await.unwrap_err().to_string();
    assert!(error.contains("database `a.b`"), "{error}");
    let error = MongoStore::new("mongodb://h").collection("a$b").start().await.unwrap_err().to_string();
    assert!(error.contains("collection `a$b`"), "{error}");
}

#[tokio::test]
async fn a_standalone_server_is_refused_with_what_is_to_be_done() {
    let found = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mongod")).output().unwrap();
    let mongod = String::from_utf8(found.stdout).unwrap();
    let folder = std::env::temp_dir().join(format!("asyncz-{}-standalone", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut server = Command::new(mongod.trim())
        .args(["--dbpath", folder.to_str().unwrap(), "--port", &port, "--bind_ip", "127.0.0.1"])
        .args(["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let store = MongoStore::new(format!("mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=20000"));

    let error = store.start().await.unwrap_err().to_string();

    server.kill().unwrap();
    server.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    for said in ["standalone", "mongod --replSet rs0", "rs.initiate()"] {
        assert!(error.contains(said), "{error}");
    }
}
