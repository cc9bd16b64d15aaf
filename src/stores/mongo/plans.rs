//! How the server carries out the questions on which it depends how fast the store is.

use chrono::{DateTime, Utc};
use mongodb::bson::{Document, doc};

use super::MongoStore;
use super::database::{Clock, Database};
use super::{history, nodes, tasks};
use crate::stores::{RunFilter, StoreError};
use crate::task::{Handlers, NodeId};

impl MongoStore {
    /// The questions that come with each look at what is due, each renewal and each pruning, and how the server carries each
    /// of them out. For tests that none of them reads through a collection.
    ///
    /// # Errors
    ///
    /// Where the server is not there.
    pub async fn plans(&self) -> Result<Vec<(&'static str, String)>, StoreError> {
        let database = self.opened().await?;
        let handlers = database.tasks.distinct("handler", doc! {}).await?;
        let handlers: Handlers = handlers.iter().filter_map(|handler| handler.as_str()).collect();
        let mut plans = Vec::new();
        for (name, question) in questions(&database, &handlers) {
            let explain = doc! { "explain": question, "verbosity": "executionStats" };
            plans.push((name, database.all.run_command(explain).await?.to_string()));
        }
        Ok(plans)
    }
}

fn questions(database: &Database, handlers: &Handlers) -> Vec<(&'static str, Document)> {
    let (tasks, runs) = (&database.names.tasks, &database.names.runs);
    let aggregate = |collection: &str, pipeline: Vec<Document>| {
        doc! { "aggregate": collection, "pipeline": pipeline, "cursor": {} }
    };
    let find =
        |collection: &str, filter: Document| doc! { "find": collection, "filter": filter, "limit": 10 };
    let sorted = |mut find: Document, sort: Document| {
        find.insert("sort", sort);
        find
    };
    let node = NodeId::from(1);
    let now = Clock::Told.now(DateTime::<Utc>::MAX_UTC);
    let newest = || doc! { "made_at": -1, "_id": -1 };
    vec![
        ("due", aggregate(tasks, tasks::due_tasks(now, 10, handlers, Document::new()))),
        ("next due", aggregate(tasks, nodes::first_due(handlers, Document::new()))),
        ("orphans", find(tasks, tasks::orphans(handlers))),
        ("cancelled", find(runs, nodes::cancelled(node))),
        ("lapsed", aggregate(runs, nodes::lapsed_runs(database, &["0000000000000001"], handlers, 10))),
        ("history", sorted(find(runs, history::entries(&RunFilter::new())), newest())),
        (
            "history of a task",
            sorted(find(runs, history::entries(&RunFilter::new().task("task-1"))), newest()),
        ),
        ("prune: old", sorted(find(runs, history::old(0)), doc! { "made_at": 1 })),
    ]
}
