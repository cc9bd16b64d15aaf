//! One text for each statement, and what the three databases say differently.

use std::fmt::Write;

pub(super) use super::batch::Kind;
use super::batch::{Batch, Cell, Columns, Values};

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

    /// A batch in the parts that a statement takes.
    pub(super) fn parts<'a>(self, template: &str, batch: Batch<'a>) -> Vec<Batch<'a>> {
        if self != Self::MySql || !template.contains("{cells}") {
            return batch.parts(self.most_rows());
        }
        // There each length has a text of its own, and is not padded.
        let mut parts = vec![batch];
        for size in SIZES.into_iter().rev() {
            let last = parts.pop().expect("one is there from the first");
            parts.extend(last.parts(size));
            if parts.last().is_some_and(|last| last.len() == size) {
                return parts;
            }
        }
        parts
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
    ///
    /// `{rows}` and `{join}` are what a statement that changes something takes its rows from. Where there is one it is put in the
    /// place of its columns instead: planners then know that there is no other, and need no table for it. `{cells}` is all that is
    /// inserted, the columns in their order. `{or_fail}` stands behind the verb.
    pub(super) fn write(&self, template: &str, values: Values<'_>, batch: Option<&Batch<'_>>) -> Text {
        let text = Text { sql: String::with_capacity(template.len() * 2), slots: Vec::new() };
        let has_place = ["{rows}", "{join}", "{cells}"].iter().any(|place| template.contains(place));
        let row = batch.filter(|batch| has_place && batch.len() == 1);
        let mut writing = Writing { writer: self, values, batch, row, text };
        writing.write(template);
        writing.text
    }

    /// Changes the rows of a table that belong to those of the batch. In MySQL it tells nothing of them.
    pub(super) fn update(&self, table: &str, set: &str, on: &str, returning: &str) -> String {
        let returning = if returning.is_empty() { String::new() } else { format!(" RETURNING {returning}") };
        match self.dialect {
            Dialect::MySql => format!("UPDATE {{{table}}} AS t {{join}} SET {set} WHERE {on}"),
            _ => format!("UPDATE {{or_fail}}{{{table}}} AS t SET {set} {{rows}} WHERE {on}{returning}"),
        }
    }
}

/// A statement being written.
struct Writing<'a> {
    writer: &'a Writer,
    values: Values<'a>,
    batch: Option<&'a Batch<'a>>,
    /// The one row whose cells are put in the place of its columns.
    row: Option<&'a Batch<'a>>,
    text: Text,
}

impl<'a> Writing<'a> {
    fn write(&mut self, template: &str) {
        let mut rest = template;
        while let Some(at) = self.next_name(rest) {
            self.text.sql.push_str(&rest[..at]);
            rest = &rest[at..];
            let length = if let Some(name) = rest.strip_prefix('{') {
                let end = name.find('}').expect("our templates close their braces");
                self.write_name(&name[..end]);
                end + 2
            } else if rest.starts_with("::") {
                self.text.sql.push_str("::");
                2
            } else if let Some(name) = rest.strip_prefix(':') {
                let end = word(name);
                self.write_value(&name[..end]);
                end + 1
            } else {
                let end = word(rest);
                self.write_cell(&rest[..end]);
                end
            };
            rest = &rest[length..];
        }
        self.text.sql.push_str(rest);
    }

    /// Where the next name begins that stands for something else.
    fn next_name(&self, template: &str) -> Option<usize> {
        let bytes = template.as_bytes();
        let is_column = |at: usize| {
            self.row.is_some() && bytes[at..].starts_with(b"b_") && (at == 0 || !is_of_word(bytes[at - 1]))
        };
        (0..bytes.len()).find(|at| matches!(bytes[*at], b'{' | b':') || is_column(*at))
    }

    fn write_name(&mut self, name: &str) {
        let writer = self.writer;
        let is_mysql = writer.dialect == Dialect::MySql;
        match name {
            "prefix" => self.text.sql.push_str(&writer.names.prefix),
            "lock" if writer.dialect != Dialect::Sqlite => self.text.sql.push_str("FOR UPDATE"),
            "lock" => {}
            // MySQL counts what was there and is not yet cleared away, and then reads through the table.
            "by_place" | "by_due" if is_mysql => {
                let index = if name == "by_due" { "tasks_due" } else { "runs_open" };
                write!(self.text.sql, "FORCE INDEX ({}{index})", writer.names.prefix).expect("as below");
            }
            "by_place" | "by_due" => {}
            "by_id" if is_mysql => self.write("t.id_digest = UNHEX(SHA2(b_id, 256))"),
            "by_id" => self.write("t.id = b_id"),
            "is_task" if is_mysql => self.write("t.id_digest = UNHEX(SHA2(:task, 256))"),
            "is_task" => self.write("t.id = :task"),
            "now" => match writer.dialect.clock().filter(|_| writer.server_clock) {
                Some(clock) => self.text.sql.push_str(clock),
                None => self.write_value("now"),
            },
            "cells" if is_mysql => self.write_rows(),
            "cells" => {
                let cells = names(self.batch().columns);
                self.write(&format!("SELECT {cells} {{rows}} WHERE true"));
            }
            // A statement that fails takes its whole step with it: SQLite need not note apart what it has changed.
            "or_fail" if writer.dialect == Dialect::Sqlite => self.text.sql.push_str("OR FAIL "),
            "or_fail" => {}
            "rows" if self.row.is_some() => self.text.sql.push_str(if is_mysql { "FROM DUAL" } else { "" }),
            "rows" => self.write("FROM {batch} AS b"),
            "join" if self.row.is_some() => {}
            "join" => self.write("JOIN {batch} AS b"),
            "runnable" => self.write_runnable(),
            "batch" => self.write_batch(),
            table => self.text.sql.push_str(&writer.names.table(table)),
        }
    }

    fn write_value(&mut self, name: &str) {
        let at = self.values.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| panic!("no value is given for :{name}"));
        self.write_slot(Slot::Value(at));
    }

    /// The cell of the one row in a column.
    fn write_cell(&mut self, name: &str) {
        let columns = self.row.expect("it is there where its columns are looked for").columns;
        let at = columns.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| panic!("the batch has no column {name}"));
        let kind = columns[at].1;
        self.write_slot(Slot::Cell(at, kind));
        if self.writer.dialect == Dialect::Postgres {
            self.text.sql.push_str(if kind == Kind::Int { "::bigint" } else { "::text" });
        }
    }

    fn write_slot(&mut self, slot: Slot) {
        let text = &mut self.text;
        if self.writer.dialect != Dialect::Postgres {
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

    fn batch(&self) -> &'a Batch<'a> {
        self.batch.expect("a statement that asks for a batch is given one")
    }

    /// The batch in brackets, as a table.
    fn write_batch(&mut self) {
        let columns = self.batch().columns;
        self.text.sql.push('(');
        match self.writer.dialect {
            Dialect::Sqlite => self.write_values(),
            Dialect::Postgres => {
                self.text.sql.push_str("SELECT * FROM unnest(");
                for (at, (_, kind)) in columns.iter().enumerate() {
                    self.text.sql.push_str(if at > 0 { ", " } else { "" });
                    self.write_slot(Slot::Column(at));
                    self.text.sql.push_str(if *kind == Kind::Int { "::bigint[]" } else { "::text[]" });
                }
                write!(self.text.sql, ") AS u({})", names(columns)).expect("as above");
            }
            Dialect::MySql => {
                self.text.sql.push_str("SELECT * FROM JSON_TABLE(");
                self.write_slot(Slot::Json);
                self.text.sql.push_str(", '$[*]' COLUMNS (");
                for (at, (name, kind)) in columns.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    let sql_type = mysql_type(*kind, self.batch(), at);
                    let key = json_key(at);
                    write!(self.text.sql, "{comma}{name} {sql_type} PATH '$.{key}'").expect("as above");
                }
                self.text.sql.push_str(")) AS u");
            }
        }
        self.text.sql.push(')');
    }

    /// Not by a join, for which a planner might give up the order of an index.
    fn write_runnable(&mut self) {
        let name = self.batch().columns[0].0;
        match self.writer.dialect {
            Dialect::Sqlite => {
                write!(self.text.sql, "handler IN (SELECT {name} FROM ").expect("as above");
                self.write_batch();
                self.text.sql.push(')');
            }
            Dialect::Postgres => {
                self.text.sql.push_str("handler = ANY(");
                self.write_slot(Slot::Column(0));
                self.text.sql.push_str("::text[])");
            }
            Dialect::MySql => {
                self.text.sql.push_str("JSON_CONTAINS(");
                self.write_slot(Slot::Json);
                let key = json_key(0);
                write!(self.text.sql, ", JSON_OBJECT('{key}', handler))").expect("as above");
            }
        }
    }

    /// MySQL inserts rows of parameters in half the time of rows of JSON.
    fn write_rows(&mut self) {
        for (at, row) in self.batch().cells.chunks(self.batch().columns.len()).enumerate() {
            self.text.sql.push_str(if at > 0 { ",(" } else { "VALUES (" });
            for column in 0..row.len() {
                self.text.sql.push_str(if column > 0 { "," } else { "" });
                self.write_slot(Slot::Cell(at * row.len() + column, self.batch().columns[column].1));
            }
            self.text.sql.push(')');
        }
    }

    /// In SQLite rows of parameters take a third of the time of rows of JSON.
    fn write_values(&mut self) {
        let (rows, columns) = (self.batch().len(), self.batch().columns);
        let size = SIZES.into_iter().find(|size| *size >= rows).unwrap_or(rows);
        for (at, (name, _)) in columns.iter().enumerate() {
            let before = if at > 0 { ", " } else { "SELECT " };
            write!(self.text.sql, "{before}column{} AS {name}", at + 1).expect("as above");
        }
        self.text.sql.push_str(" FROM (VALUES ");
        for row in 0..size {
            self.text.sql.push_str(if row > 0 { ",(" } else { "(" });
            for (at, (_, kind)) in columns.iter().enumerate() {
                self.text.sql.push_str(if at > 0 { "," } else { "" });
                self.write_slot(Slot::Cell(row * columns.len() + at, *kind));
            }
            self.text.sql.push(')');
        }
        // The rows that are padded.
        self.text.sql.push_str(") WHERE column1 IS NOT NULL");
    }
}

/// How long the word is that a text begins with.
fn word(text: &str) -> usize {
    text.bytes().position(|byte| !byte.is_ascii_lowercase() && byte != b'_').unwrap_or(text.len())
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The type of a column of a batch. Text is in utf8mb4 as in the tables: else it is in what the database has by default,
/// which may know fewer characters, and puts ? for others.
fn mysql_type(kind: Kind, batch: &Batch<'_>, column: usize) -> &'static str {
    let is_short = |cell: &Cell<'_>| !matches!(cell, Cell::Text(text) if text.len() > MYSQL_SHORT);
    match kind {
        Kind::Int => "BIGINT",
        // With a long text the batch becomes a file.
        Kind::Text if batch.cells.iter().skip(column).step_by(batch.columns.len()).all(is_short) => {
            "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        }
        Kind::Text => "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    }
}

/// What a column is called in a batch as JSON. The server reads through a row for each of its columns: a letter is read sooner
/// than a name.
pub(super) fn json_key(column: usize) -> char {
    const KEYS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    KEYS[column].into()
}

/// At most so many bytes are as many characters.
const MYSQL_SHORT: usize = 64;

fn names(columns: Columns) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
