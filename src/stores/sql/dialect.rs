//! One text for each statement, and what the three databases say differently.

use std::fmt::Write;

pub(super) use super::batch::Kind;
use super::batch::{Batch, Columns, Values};

/// A database's way of saying things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

/// How the tables are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Before the name of each table; in PostgreSQL the schema stands before that.
    pub(super) prefix: String,
    /// A schema of PostgreSQL.
    pub(super) schema: Option<String>,
}

impl Names {
    pub(super) fn table(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}{name}", self.prefix),
            None => format!("{}{name}", self.prefix),
        }
    }
}

/// Writes statements for one database and one set of tables.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) dialect: Dialect,
    pub(super) names: Names,
    /// The database's clock decides, and not the times that it is told.
    pub(super) server_clock: bool,
}

/// A statement as a driver takes it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) sql: String,
    /// What stands at its parameters, in order.
    pub(super) slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The value of this number.
    Value(usize),
    /// The cell of the batch of this number, and what would stand there; past its end: null.
    Cell(usize, Kind),
    /// A column of the batch.
    Column(usize),
    /// The batch as JSON.
    Json,
}

/// So many rows of a batch have a text of their own; more are padded, so that a few texts serve batches of any length.
const SIZES: [usize; 6] = [1, 4, 16, 64, 128, 256];

impl Dialect {
    /// So many rows a statement takes at most.
    pub(super) fn most_rows(self) -> usize {
        match self {
            // Each cell is a parameter, of which there may be 32,766.
            Self::Sqlite => SIZES[SIZES.len() - 1],
            Self::Postgres | Self::MySql => 10_000,
        }
    }

    /// Microseconds since 1970 by the database's clock, the same throughout a statement.
    fn clock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            // `now()` would be the time at which the transaction began, `clock_timestamp()` one that no index helps with.
            Self::Postgres => Some("(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"),
            Self::MySql => Some("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"),
        }
    }
}

impl Writer {
    /// Whether the database has a clock that counts.
    pub(super) fn has_clock(&self) -> bool {
        self.server_clock && self.dialect.clock().is_some()
    }

    /// Writes a statement. In its template stand `{tasks}` and the other tables, `{prefix}`, `{now}` for the time, which is the
    /// value `now` where the database has no clock, `{batch}` for the rows, `{lock}` where rows read are to be locked,
    /// `{by_place}` and `{by_due}` behind a table for the index to go by, and values as `:name`. `{runnable}` says that `handler` is in the batch,
    /// `{by_id}` that the task `t` has the id `b_id` of the batch, and `{is_task}` that it has the id `:task`.
    pub(super) fn write(&self, template: &str, values: Values<'_>, batch: Option<&Batch<'_>>) -> Text {
        let mut text = Text { sql: String::with_capacity(template.len() * 2), slots: Vec::new() };
        let mut rest = template;
        while let Some(at) = rest.find(['{', ':']) {
            text.sql.push_str(&rest[..at]);
            let is_name = rest[at..].starts_with('{');
            rest = &rest[at + 1..];
            if is_name {
                let end = rest.find('}').expect("our templates close their braces");
                self.write_name(&mut text, &rest[..end], values, batch);
                rest = &rest[end + 1..];
            } else if let Some(cast) = rest.strip_prefix(':') {
                text.sql.push_str("::");
                rest = cast;
            } else {
                let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
                self.write_value(&mut text, &rest[..end], values);
                rest = &rest[end..];
            }
        }
        text.sql.push_str(rest);
        text
    }

    fn write_name(&self, text: &mut Text, name: &str, values: Values<'_>, batch: Option<&Batch<'_>>) {
        match name {
            "prefix" => text.sql.push_str(&self.names.prefix),
            "lock" if self.dialect != Dialect::Sqlite => text.sql.push_str("FOR UPDATE"),
            "lock" => {}
            // MySQL counts what was there and is not yet cleared away, and then reads through the table.
            "by_place" | "by_due" if self.dialect == Dialect::MySql => {
                let index = if name == "by_due" { "tasks_due" } else { "runs_open" };
                write!(text.sql, "FORCE INDEX ({}{index})", self.names.prefix).expect("as below");
            }
            "by_place" | "by_due" => {}
            "by_id" if self.dialect == Dialect::MySql => {
                text.sql.push_str("t.id_digest = UNHEX(SHA2(b_id, 256))");
            }
            "by_id" => text.sql.push_str("t.id = b_id"),
            "is_task" if self.dialect == Dialect::MySql => {
                text.sql.push_str("t.id_digest = UNHEX(SHA2(");
                self.write_value(text, "task", values);
                text.sql.push_str(", 256))");
            }
            "is_task" => {
                text.sql.push_str("t.id = ");
                self.write_value(text, "task", values);
            }
            "now" => match self.dialect.clock().filter(|_| self.server_clock) {
                Some(clock) => text.sql.push_str(clock),
                None => self.write_value(text, "now", values),
            },
            "runnable" => self.write_runnable(text, batch.expect("a statement with {runnable} is given one")),
            "batch" => self.write_batch(text, batch.expect("a statement with {batch} is given one")),
            table => text.sql.push_str(&self.names.table(table)),
        }
    }

    fn write_value(&self, text: &mut Text, name: &str, values: Values<'_>) {
        let at = values.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| panic!("no value is given for :{name}"));
        self.write_slot(text, Slot::Value(at));
    }

    fn write_slot(&self, text: &mut Text, slot: Slot) {
        if self.dialect != Dialect::Postgres {
            text.slots.push(slot);
            text.sql.push('?');
            return;
        }
        let known = text.slots.iter().position(|known| *known == slot);
        let number = known.unwrap_or_else(|| {
            text.slots.push(slot);
            text.slots.len() - 1
        });
        write!(text.sql, "${}", number + 1).expect("a string takes all that is written");
    }

    /// The batch in brackets, as a table.
    fn write_batch(&self, text: &mut Text, batch: &Batch<'_>) {
        text.sql.push('(');
        match self.dialect {
            Dialect::Sqlite => self.write_values(text, batch),
            Dialect::Postgres => {
                text.sql.push_str("SELECT * FROM unnest(");
                for (at, (_, kind)) in batch.columns.iter().enumerate() {
                    text.sql.push_str(if at > 0 { ", " } else { "" });
                    self.write_slot(text, Slot::Column(at));
                    text.sql.push_str(if *kind == Kind::Int { "::bigint[]" } else { "::text[]" });
                }
                write!(text.sql, ") AS u({})", names(batch.columns)).expect("as above");
            }
            Dialect::MySql => {
                text.sql.push_str("SELECT * FROM JSON_TABLE(");
                self.write_slot(text, Slot::Json);
                text.sql.push_str(", '$[*]' COLUMNS (");
                for (at, (name, kind)) in batch.columns.iter().enumerate() {
                    text.sql.push_str(if at > 0 { ", " } else { "" });
                    let sql_type = if *kind == Kind::Int { "BIGINT" } else { MYSQL_TEXT };
                    write!(text.sql, "{name} {sql_type} PATH '$.{name}'").expect("as above");
                }
                text.sql.push_str(")) AS u");
            }
        }
        text.sql.push(')');
    }

    /// Not by a join, for which a planner might give up the order of an index.
    fn write_runnable(&self, text: &mut Text, batch: &Batch<'_>) {
        let name = batch.columns[0].0;
        match self.dialect {
            Dialect::Sqlite => {
                write!(text.sql, "handler IN (SELECT {name} FROM ").expect("as above");
                self.write_batch(text, batch);
                text.sql.push(')');
            }
            Dialect::Postgres => {
                text.sql.push_str("handler = ANY(");
                self.write_slot(text, Slot::Column(0));
                text.sql.push_str("::text[])");
            }
            Dialect::MySql => {
                text.sql.push_str("JSON_CONTAINS(");
                self.write_slot(text, Slot::Json);
                write!(text.sql, ", JSON_OBJECT('{name}', handler))").expect("as above");
            }
        }
    }

    /// In SQLite rows of parameters take a third of the time of rows of JSON.
    fn write_values(&self, text: &mut Text, batch: &Batch<'_>) {
        let rows = batch.len();
        let size = SIZES.into_iter().find(|size| *size >= rows).unwrap_or(rows);
        for (at, (name, _)) in batch.columns.iter().enumerate() {
            let before = if at > 0 { ", " } else { "SELECT " };
            write!(text.sql, "{before}column{} AS {name}", at + 1).expect("as above");
        }
        text.sql.push_str(" FROM (VALUES ");
        for row in 0..size {
            text.sql.push_str(if row > 0 { ",(" } else { "(" });
            for (at, (_, kind)) in batch.columns.iter().enumerate() {
                text.sql.push_str(if at > 0 { "," } else { "" });
                self.write_slot(text, Slot::Cell(row * batch.columns.len() + at, *kind));
            }
            text.sql.push(')');
        }
        // The rows that are padded.
        write!(text.sql, ") WHERE column1 IS NOT NULL").expect("as above");
    }

    /// Changes the rows of a table that belong to those of the batch. In MySQL it tells nothing of them.
    pub(super) fn update(&self, table: &str, set: &str, on: &str, returning: &str) -> String {
        match self.dialect {
            Dialect::MySql => format!("UPDATE {{{table}}} AS t JOIN {{batch}} AS b ON {on} SET {set}"),
            _ => {
                let returning =
                    if returning.is_empty() { String::new() } else { format!(" RETURNING {returning}") };
                format!("UPDATE {{{table}}} AS t SET {set} FROM {{batch}} AS b WHERE {on}{returning}")
            }
        }
    }
}

/// As in the tables. Else it is the default of the database, which may know fewer characters, and puts ? for others.
const MYSQL_TEXT: &str = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

fn names(columns: Columns) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
