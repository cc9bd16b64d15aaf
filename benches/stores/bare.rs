//! The least statements that write what a fire writes, prepared by hand for each driver.
//!
//! They compare nothing: no version, no lease, no place among the task's runs.

use asyncz::async_trait;
use asyncz::sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use asyncz::sqlx::postgres::{PgConnectOptions, PgConnection};
use asyncz::sqlx::query::Query;
use asyncz::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use asyncz::sqlx::{self, Connection, Executor};

use crate::{Failure, Fire};

pub(crate) type Done = Result<(), Failure>;

/// A connection that writes fires by hand.
#[async_trait]
pub(crate) trait Bare {
    /// The schedules of the tasks, and the entries of their runs, in one transaction.
    async fn claim(&mut self, fires: &[Fire]) -> Done;

    /// The ends of the runs, and their tasks, in one transaction.
    async fn finish(&mut self, fires: &[Fire]) -> Done;
}

/// What an entry of the history is written by, the values of each row apart.
const ENTRY: &str =
    "id, task_key, place, due, generation, attempt, flags, occurrences, status, node, decided_at";

/// `row` as often as there are rows.
fn rows(row: &str, between: &str, count: usize) -> String {
    vec![row; count].join(between)
}

/// A connection, and what the names of the tables begin with.
pub(crate) struct Sqlite(SqliteConnection, String);

impl Sqlite {
    pub(crate) async fn open(url: &str, prefix: &str) -> Result<Self, sqlx::Error> {
        let options: SqliteConnectOptions = url.parse()?;
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        // As ours.
        let options = options.pragma("wal_autocheckpoint", "10000").pragma("cache_size", "-32768");
        let options = options.pragma("temp_store", "memory");
        Ok(Self(SqliteConnection::connect_with(&options).await?, prefix.to_owned()))
    }
}

#[async_trait]
impl Bare for Sqlite {
    async fn claim(&mut self, fires: &[Fire]) -> Done {
        let Self(connection, prefix) = self;
        let count = fires.len();
        let update = match count {
            1 => format!(
                "UPDATE {prefix}tasks SET version = version + 1, running = 1, watermark = ?, next_run_time = ?, \
                 due_at = ? WHERE task_key = ?"
            ),
            _ => format!(
                "UPDATE {prefix}tasks SET version = version + 1, running = 1, watermark = column1, \
                 next_run_time = column2, due_at = column3 FROM (VALUES {}) WHERE task_key = column4",
                rows("(?,?,?,?)", ",", count)
            ),
        };
        let row = "(?,?,?,?,0,1,0,1,'claimed',?,?)";
        let insert = format!("INSERT INTO {prefix}runs ({ENTRY}) VALUES {}", rows(row, ",", count));
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        with_schedules(sqlx::query(&update), fires).execute(&mut *transaction).await?;
        with_entries(sqlx::query(&insert), fires).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn finish(&mut self, fires: &[Fire]) -> Done {
        let Self(connection, prefix) = self;
        let count = fires.len();
        let end = match count {
            1 => format!(
                "UPDATE {prefix}runs SET status = 'succeeded', started_at = ?, finished_at = ?, place = NULL \
                 WHERE id = ?"
            ),
            _ => format!(
                "UPDATE {prefix}runs SET status = 'succeeded', started_at = column1, finished_at = column2, \
                 place = NULL FROM (VALUES {}) WHERE id = column3",
                rows("(?,?,?)", ",", count)
            ),
        };
        let task = format!(
            "UPDATE {prefix}tasks SET version = version + 1, running = 0 WHERE task_key IN ({})",
            rows("?", ",", count)
        );
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        with_ends(sqlx::query(&end), fires).execute(&mut *transaction).await?;
        let mut query = sqlx::query(&task);
        for fire in fires {
            query = query.bind(fire.key);
        }
        query.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// As [`Sqlite`].
pub(crate) struct MySql(MySqlConnection, String);

impl MySql {
    pub(crate) async fn open(url: &str, prefix: &str) -> Result<Self, sqlx::Error> {
        let options: MySqlConnectOptions = url.parse()?;
        let mut connection = MySqlConnection::connect_with(&options.collation("utf8mb4_bin")).await?;
        connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        Ok(Self(connection, prefix.to_owned()))
    }
}

#[async_trait]
impl Bare for MySql {
    async fn claim(&mut self, fires: &[Fire]) -> Done {
        let Self(connection, prefix) = self;
        let count = fires.len();
        let update = match count {
            1 => format!(
                "UPDATE {prefix}tasks SET version = version + 1, running = 1, watermark = ?, next_run_time = ?, \
                 due_at = ? WHERE task_key = ?"
            ),
            _ => format!(
                "UPDATE {prefix}tasks AS t JOIN (SELECT ? AS b_due, ? AS b_next, ? AS b_at, ? AS b_key{}) AS b \
                 ON t.task_key = b_key SET version = version + 1, running = 1, watermark = b_due, \
                 next_run_time = b_next, due_at = b_at",
                rows(" UNION ALL SELECT ?,?,?,?", "", count - 1)
            ),
        };
        let row = "(?,?,?,?,0,1,0,1,'claimed',?,?)";
        let insert = format!("INSERT INTO {prefix}runs ({ENTRY}) VALUES {}", rows(row, ",", count));
        let mut transaction = connection.begin().await?;
        with_schedules(sqlx::query(&update), fires).execute(&mut *transaction).await?;
        with_entries(sqlx::query(&insert), fires).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn finish(&mut self, fires: &[Fire]) -> Done {
        let Self(connection, prefix) = self;
        let count = fires.len();
        let end = match count {
            1 => format!(
                "UPDATE {prefix}runs SET status = 'succeeded', started_at = ?, finished_at = ?, place = NULL \
                 WHERE id = ?"
            ),
            _ => format!(
                "UPDATE {prefix}runs AS t JOIN (SELECT ? AS b_started, ? AS b_finished, ? AS b_id{}) AS b \
                 ON t.id = b_id SET status = 'succeeded', started_at = b_started, finished_at = b_finished, \
                 place = NULL",
                rows(" UNION ALL SELECT ?,?,?", "", count - 1)
            ),
        };
        let task = format!(
            "UPDATE {prefix}tasks SET version = version + 1, running = 0 WHERE task_key IN ({})",
            rows("?", ",", count)
        );
        let mut transaction = connection.begin().await?;
        with_ends(sqlx::query(&end), fires).execute(&mut *transaction).await?;
        let mut query = sqlx::query(&task);
        for fire in fires {
            query = query.bind(fire.key);
        }
        query.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

type Given<'q, D> = Query<'q, D, <D as sqlx::Database>::Arguments<'q>>;

/// A row for each task: watermark, next due time, the same for the index, key.
fn with_schedules<'q, D: sqlx::Database>(mut query: Given<'q, D>, fires: &'q [Fire]) -> Given<'q, D>
where
    i64: sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    for fire in fires {
        query = query.bind(fire.due).bind(fire.next).bind(fire.next).bind(fire.key);
    }
    query
}

/// A row for each run.
fn with_entries<'q, D: sqlx::Database>(mut query: Given<'q, D>, fires: &'q [Fire]) -> Given<'q, D>
where
    i64: sqlx::Encode<'q, D> + sqlx::Type<D>,
    &'q str: sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    for fire in fires {
        query = query.bind(&*fire.run_text).bind(fire.key).bind(fire.key).bind(fire.due);
        query = query.bind(&*fire.node_text).bind(fire.now);
    }
    query
}

/// A row for each end: when it was started, when it ended, the run.
fn with_ends<'q, D: sqlx::Database>(mut query: Given<'q, D>, fires: &'q [Fire]) -> Given<'q, D>
where
    i64: sqlx::Encode<'q, D> + sqlx::Type<D>,
    &'q str: sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    for fire in fires {
        query = query.bind(fire.now).bind(fire.now).bind(&*fire.run_text);
    }
    query
}

/// As [`Sqlite`].
pub(crate) struct Postgres(PgConnection, String);

impl Postgres {
    pub(crate) async fn open(url: &str, prefix: &str) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let mut connection = PgConnection::connect_with(&options).await?;
        // As ours: else it reads through the history for each batch.
        connection.execute("SET enable_seqscan = off; SET jit = off").await?;
        Ok(Self(connection, prefix.to_owned()))
    }
}

#[async_trait]
impl Bare for Postgres {
    async fn claim(&mut self, fires: &[Fire]) -> Done {
        let Self(connection, prefix) = self;
        let mut transaction = connection.begin().await?;
        if let [fire] = fires {
            let update = format!(
                "UPDATE {prefix}tasks SET version = version + 1, running = 1, watermark = $1, next_run_time = $2, \
                 due_at = $2 WHERE task_key = $3"
            );
            let insert = format!(
                "INSERT INTO {prefix}runs ({ENTRY}) VALUES ($1, $2, $2, $3, 0, 1, 0, 1, 'claimed', $4, $5)"
            );
            let update = sqlx::query(&update).bind(fire.due).bind(fire.next).bind(fire.key);
            update.execute(&mut *transaction).await?;
            let insert = sqlx::query(&insert).bind(&fire.run_text).bind(fire.key).bind(fire.due);
            insert.bind(&*fire.node_text).bind(fire.now).execute(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(());
        }
        let update = format!(
            "UPDATE {prefix}tasks SET version = version + 1, running = 1, watermark = b_due, next_run_time = b_next, \
             due_at = b_next FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS b(b_key, b_due, b_next) \
             WHERE task_key = b_key"
        );
        let insert = format!(
            "INSERT INTO {prefix}runs ({ENTRY}) SELECT b_id, b_key, b_key, b_due, 0, 1, 0, 1, 'claimed', $4, $5 \
             FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS b(b_id, b_key, b_due)"
        );
        let (keys, dues, nexts) = (each(fires, |f| f.key), each(fires, |f| f.due), each(fires, |f| f.next));
        let ids = each(fires, |fire| &*fire.run_text);
        sqlx::query(&update).bind(&keys).bind(&dues).bind(nexts).execute(&mut *transaction).await?;
        let insert = sqlx::query(&insert).bind(ids).bind(&keys).bind(&dues);
        insert.bind(&*fires[0].node_text).bind(fires[0].now).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn finish(&mut self, fires: &[Fire]) -> Done {
        let Self(connection, prefix) = self;
        let mut transaction = connection.begin().await?;
        let set = "status = 'succeeded', started_at = $2, finished_at = $3, place = NULL";
        if let [fire] = fires {
            let end = format!("UPDATE {prefix}runs SET {set} WHERE id = $1");
            let task =
                format!("UPDATE {prefix}tasks SET version = version + 1, running = 0 WHERE task_key = $1");
            let end = sqlx::query(&end).bind(&fire.run_text).bind(fire.now).bind(fire.now);
            end.execute(&mut *transaction).await?;
            sqlx::query(&task).bind(fire.key).execute(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(());
        }
        let set = set.replace("$2", "b_started").replace("$3", "b_finished");
        let end = format!(
            "UPDATE {prefix}runs SET {set} FROM unnest($1::text[], $2::bigint[], $3::bigint[]) \
             AS b(b_id, b_started, b_finished) WHERE id = b_id"
        );
        let task = format!(
            "UPDATE {prefix}tasks SET version = version + 1, running = 0 FROM unnest($1::bigint[]) AS b(b_key) \
             WHERE task_key = b_key"
        );
        let ids = each(fires, |fire| &*fire.run_text);
        let times = each(fires, |fire| fire.now);
        sqlx::query(&end).bind(ids).bind(&times).bind(&times).execute(&mut *transaction).await?;
        sqlx::query(&task).bind(each(fires, |fire| fire.key)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

fn each<'a, T>(fires: &'a [Fire], of: impl Fn(&'a Fire) -> T) -> Vec<T> {
    fires.iter().map(of).collect()
}
