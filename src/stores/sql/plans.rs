//! How the database would carry out the statements on which it depends how fast the store is.

use super::SqlStore;
use super::batch::{Batch, Cell, Columns, Kind};
use super::dialect::{Dialect, Writer};
use super::rows::{SCHEDULE, SET_SCHEDULE, TASK};
use super::tasks::{DUE_TASKS, HANDLERS, IDS, KEYS};
use super::{claims, finishes, history, nodes};
use crate::stores::StoreError;

/// A statement, and the rows that it is given.
type Planned = (&'static str, String, Batch<'static>);

impl SqlStore {
    /// The statements that come with each run, each look at what is due, and each pruning, and how the database would carry
    /// each of them out. For tests that none of them reads through a table.
    ///
    /// # Errors
    ///
    /// Where the database is not there.
    pub async fn plans(&self) -> Result<Vec<(&'static str, String)>, StoreError> {
        let database = self.database().await?;
        let explain = match database.writer.dialect {
            Dialect::Sqlite => "EXPLAIN QUERY PLAN ",
            Dialect::Postgres => "EXPLAIN ",
            Dialect::MySql => "EXPLAIN FORMAT=JSON ",
        };
        let column = if database.writer.dialect == Dialect::Sqlite { 3 } else { 0 };
        let number = |name| (name, Cell::Int(10));
        let values = [
            number("now"),
            number("told"),
            number("limit"),
            number("from"),
            number("last"),
            number("task"),
            number("most"),
            number("before"),
            ("node", "0000000000000001".into()),
        ];
        let mut plans = Vec::new();
        let handlers = database.read("SELECT handler FROM {handlers}", &[]).await?;
        let handlers = handlers.iter().map(|row| row.string(0)).collect::<Result<Vec<_>, _>>()?;
        for (name, sql, batch) in planned(&database.writer, &handlers) {
            let mut step = database.begin().await?;
            let rows = step.fetch_batch(&format!("{explain}{sql}"), &values, batch).await?;
            let lines = rows.iter().map(|row| row.string(column)).collect::<Result<Vec<_>, _>>()?;
            plans.push((name, lines.join("\n")));
        }
        Ok(plans)
    }
}

fn planned(writer: &Writer, handlers: &[String]) -> Vec<Planned> {
    let handlers = || Batch::of(HANDLERS, handlers.to_vec());
    let runs = || Batch::of(IDS, ["00000000000000000000000000000001"]);
    let tasks = || Batch::of(KEYS, [1_i64]);
    let one = |columns: Columns| Batch {
        columns,
        cells: columns
            .iter()
            .map(|(_, kind)| if *kind == Kind::Int { Cell::Int(1) } else { "1".into() })
            .collect(),
    };
    let due = DUE_TASKS.replace("{task}", TASK);
    vec![
        ("due", format!("{due} ORDER BY due_at, task_key LIMIT :limit"), handlers()),
        ("next due", format!("{}{}", nodes::NEXT_DUE, nodes::FIRST_DUE), handlers()),
        ("cancelled", nodes::CANCELLED.to_owned(), handlers()),
        ("claim", writer.update("tasks", SET_SCHEDULE, &claims::still_so(), ""), one(SCHEDULE)),
        ("finish: tasks", finishes::find_tasks(), tasks()),
        ("finish: runs", finishes::FIND_RUNS.to_owned(), runs()),
        ("finish: end", writer.update("runs", finishes::SET_END, "t.id = b_id", ""), one(finishes::END)),
        (
            "finish: task",
            writer.update("tasks", finishes::SET_AFTER, "t.task_key = b_key", ""),
            one(finishes::AFTER),
        ),
        ("lapsed", nodes::lapsed_runs(), handlers()),
        (
            "history of a task",
            format!("{}{}{} LIMIT :limit", history::entries(), history::OF_TASK, history::NEWEST),
            handlers(),
        ),
        ("prune: old", history::OLD.to_owned(), handlers()),
        ("prune: new", history::NEW.to_owned(), handlers()),
        ("prune: too many", history::FIRST_TOO_MANY.to_owned(), tasks()),
    ]
}
