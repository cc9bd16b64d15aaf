//! The collections and their indexes, and what they need of the server.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

use super::database::{Database, Names};
use super::settings::Settings;
use crate::stores::StoreError;

/// The version of the documents that this program knows.
///
/// A program works with documents that are one version newer than it knows, so that programs can be replaced one by one: a
/// version adds, and only the one after it takes away what nobody uses any more.
const KNOWN: i64 = 1;

/// MongoDB 6.0, as servers say it.
const OLDEST: i32 = 17;

/// Refuses a server on which the store could not keep its promises. `hello`: what it says of itself.
pub(super) fn check_server(hello: &Document, settings: &Settings) -> Result<(), StoreError> {
    let place = settings.place();
    if hello.get_i32("maxWireVersion").unwrap_or_default() < OLDEST {
        return Err(StoreError::new(format!("{place} is older than MongoDB 6.0: update the server")));
    }
    let is_router = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    if hello.get_str("setName").is_err() && !is_router {
        return Err(StoreError::new(format!(
            "{place} is a standalone server, which has no transactions: make it a replica set of one member: start it by \
             `mongod --replSet rs0`, and run `rs.initiate()` once in `mongosh`"
        )));
    }
    Ok(())
}

/// What a user may not do is told with what is to be done about it.
pub(super) fn explain(error: StoreError, settings: &Settings) -> StoreError {
    use mongodb::error::ErrorKind;
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    let advice = match cause {
        Some(cause) if has_code(cause, UNAUTHORIZED) => format!(
            "the user may not use the database `{0}`: give it the role `readWrite` there, or write another user and its password \
             into the url",
            settings.database
        ),
        Some(cause) if matches!(*cause.kind, ErrorKind::Authentication { .. }) => {
            "user or password is wrong, or the user is known to another database: name that by `authSource` in the url".to_owned()
        }
        _ => return error,
    };
    StoreError::new(advice).with_source(error)
}

/// As the server numbers its errors.
const UNAUTHORIZED: i32 = 13;

/// An index: the collection, its name, its keys, and which documents stand in it.
pub(super) struct Index {
    pub(super) collection: String,
    pub(super) name: &'static str,
    keys: Document,
    only: Option<Document>,
    expires: Option<Duration>,
}

/// How long it is remembered that something has changed.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The earliest time of all: what stands in `due_at` and is a time comes after it, and null does not.
pub(super) const EARLIEST: i64 = i64::MIN;

pub(super) fn indexes(names: &Names) -> Vec<Index> {
    let index = |collection: &String, name, keys| Index {
        collection: collection.clone(),
        name,
        keys,
        only: None,
        expires: None,
    };
    let only = |index, only| Index { only: Some(only), ..index };
    let due = index(&names.tasks, "due", doc! { "due_at": 1, "handler": 1 });
    let open = index(&names.runs, "open", doc! { "open": 1, "task": 1, "node": 1 });
    let cancel = index(&names.runs, "cancel", doc! { "node": 1 });
    let changes = index(&names.changes, "at", doc! { "at": 1 });
    vec![
        only(due, doc! { "due_at": { "$gte": EARLIEST } }),
        index(&names.tasks, "handler", doc! { "handler": 1 }),
        index(&names.runs, "task", doc! { "task": 1, "made_at": 1, "_id": 1 }),
        index(&names.runs, "made", doc! { "made_at": 1, "_id": 1 }),
        only(open, doc! { "open": { "$gt": "" } }),
        only(cancel, doc! { "cancel": true }),
        Index { expires: Some(REMEMBERED), ..changes },
    ]
}

/// Makes what is missing. Any number of programs may do so at once.
pub(super) async fn make(database: &Database) -> Result<(), StoreError> {
    let names = &database.names;
    let known = database.all.list_collection_names().await?;
    for name in [&names.tasks, &names.runs, &names.nodes, &names.changes, &names.sessions, &names.version] {
        if known.contains(name) {
            continue;
        }
        match database.all.create_collection(name).await {
            Err(error) if has_code(&error, EXISTS) => {}
            created => created?,
        }
    }
    check_version(database).await?;
    for collection in [&names.tasks, &names.runs, &names.changes] {
        make_indexes(database, collection).await?;
    }
    Ok(())
}

/// NamespaceExists.
const EXISTS: i32 = 48;

/// Whether the server says that it is this that went wrong.
pub(super) fn has_code(error: &mongodb::error::Error, code: i32) -> bool {
    use mongodb::error::{ErrorKind, WriteFailure};
    match error.kind.as_ref() {
        ErrorKind::Command(error) => error.code == code,
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == code,
        _ => false,
    }
}

async fn check_version(database: &Database) -> Result<(), StoreError> {
    let versions = database.all.collection::<Document>(&database.names.version);
    let note = doc! { "$setOnInsert": { "version": KNOWN } };
    let noted = versions.find_one(doc! { "_id": "documents" }).await?;
    let found = match noted {
        Some(noted) => noted.get_i64("version").unwrap_or(i64::MAX),
        None => {
            match versions.update_one(doc! { "_id": "documents" }, note).upsert(true).await {
                Err(error) if has_code(&error, super::step::DUPLICATE) => {}
                written => drop(written?),
            }
            KNOWN
        }
    };
    if found > KNOWN + 1 {
        return Err(StoreError::new(format!(
            "the documents have version {found}, and this program knows up to {KNOWN} and works with {}: update the program",
            KNOWN + 1
        )));
    }
    Ok(())
}

/// Refuses to work with what is encrypted with another key, and notes which key is used from now on.
pub(super) async fn check_key(database: &Database) -> Result<(), StoreError> {
    let marks = database.all.collection::<Document>(&database.names.version);
    loop {
        let noted = marks.find_one(doc! { "_id": "key" }).await?;
        let known = noted.as_ref().and_then(|noted| noted.get_str("mark").ok());
        let Some(mark) = database.seal.check(known)? else { return Ok(()) };
        // Only in the place of what was checked: where another has come in between, that is checked, too.
        let which = doc! { "_id": "key", "mark": known };
        let note = doc! { "$set": { "mark": mark } };
        match marks.update_one(which, note).upsert(known.is_none()).await {
            Err(error) if has_code(&error, super::step::DUPLICATE) => {}
            written => drop(written?),
        }
    }
}

async fn make_indexes(database: &Database, collection: &str) -> Result<(), StoreError> {
    let collection = database.all.collection::<Document>(collection);
    let mut known = collection.list_indexes().await?;
    let mut there: Vec<(String, Document)> = Vec::new();
    while known.advance().await? {
        let index = known.deserialize_current()?;
        there.push((index.options.and_then(|options| options.name).unwrap_or_default(), index.keys));
    }
    let mut missing = Vec::new();
    for Index { name, keys, only, expires, .. } in
        indexes(&database.names).into_iter().filter(|index| index.collection == *collection.name())
    {
        match there.iter().find(|(known, _)| known == name) {
            Some((_, known)) if same_keys(known, &keys) => continue,
            Some((_, known)) => {
                return Err(StoreError::new(format!(
                    "the index `{name}` of the collection `{}` is of {known}, and not of {keys}: drop it, and start again",
                    collection.name()
                )));
            }
            None => {}
        }
        let options = IndexOptions::builder()
            .name(name.to_owned())
            .partial_filter_expression(only)
            .expire_after(expires)
            .build();
        missing.push(IndexModel::builder().keys(keys).options(options).build());
    }
    if !missing.is_empty() {
        collection.create_indexes(missing).await?;
    }
    Ok(())
}

/// Whether these are the same fields in the same order, whatever kind of number the server says 1 by.
fn same_keys(one: &Document, other: &Document) -> bool {
    let fields = |keys: &Document| keys.keys().cloned().collect::<Vec<_>>();
    fields(one) == fields(other)
}
