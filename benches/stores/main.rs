//! `tests/servers -- cargo bench --bench stores --all-features -- [flat] [sqlite] [postgres] [mysql] [redis] [redis-mem] [mongodb]`:
//! durable fires per second, ours beside the bare statements for the same writes by the same driver, in one run; with `flat`
//! what a claim costs with a thousand and with a million tasks stored. Without the name of a database: all. `redis` has each
//! write on the disk (`appendfsync always`), `redis-mem` nothing.
//!
//! A fire is a claim with its entry of the history, and the end of its run: two transactions, one after the other. Ours is the
//! store as it is by default, the bare ones have a connection with the same settings. They take turns on tables of their own in
//! the same database; a figure is the median of the rounds. What counts is the ratio within a row.
#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]
#![expect(clippy::disallowed_methods, reason = "it measures how long things take")]

mod bare;
mod bare_mongo;
mod bare_redis;
mod fires;
mod flat;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncz::Store;
use asyncz::stores::{MongoStore, RedisStore, SqlStore};

use bare::{Bare, MySql, Postgres, Sqlite};
use bare_mongo::Mongo;
use bare_redis::Redis;
use fires::{Fire, Ours};

/// How a bench fails.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 7;
const A_ROUND: Duration = Duration::from_millis(1_500);
const TASKS: usize = 1_000;
const DATABASES: [&str; 6] = ["sqlite", "postgres", "mysql", "redis", "redis-mem", "mongodb"];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    // cargo adds an option of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let known = |word: &str| word == "flat" || DATABASES.contains(&word);
    if let Some(word) = words.iter().find(|word| !known(word)) {
        return Err(format!("`{word}` is none of {DATABASES:?} and `flat`").into());
    }
    let databases: Vec<_> = words.iter().map(|word| &**word).filter(|word| *word != "flat").collect();
    let databases = if databases.is_empty() { DATABASES.to_vec() } else { databases };
    if words.iter().any(|word| word == "flat") {
        for database in databases {
            flat::print(database).await?;
        }
        return Ok(());
    }
    println!("{:<12}{:>6}{:>12}{:>12}{:>8}   durable fires/s", "", "batch", "asyncz", "bare", "%");
    for database in databases {
        let place = Place::of(database)?;
        if database.starts_with("redis") {
            bare_redis::append(&place.url, database == "redis").await?;
        }
        for batch in [200, 1] {
            compare(database, &place, batch).await?;
        }
    }
    Ok(())
}

async fn compare(database: &str, place: &Place, batch: usize) -> Result<(), Failure> {
    let prefix = |whose: &str| format!("{}{whose}{batch}_", place.prefix);
    let (ours, theirs) = (prefix("ours"), prefix("bare"));
    let mut store = Ours::new(place.store(&ours), TASKS, 0).await?;
    // Its tables, as the store makes them.
    let mut fires = Ours::new(place.store(&theirs), TASKS, 0).await?.fires;
    let mut bare: Box<dyn Bare> = match database {
        "sqlite" => Box::new(Sqlite::open(&place.url, &theirs).await?),
        "postgres" => Box::new(Postgres::open(&place.url, &theirs).await?),
        "redis" | "redis-mem" => Box::new(Redis::open(&place.url, &theirs, &fires).await?),
        "mongodb" => Box::new(Mongo::open(&place.url, &theirs, &fires).await?),
        _ => Box::new(MySql::open(&place.url, &theirs).await?),
    };
    let (mut with_store, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < A_ROUND {
            store.fire(batch).await?;
            count += batch;
        }
        with_store.push(count as f64 / start.elapsed().as_secs_f64());

        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < A_ROUND {
            let next = fires.next(batch);
            bare.claim(&next).await?;
            bare.finish(&next).await?;
            count += batch;
        }
        by_hand.push(count as f64 / start.elapsed().as_secs_f64());
    }
    store.check().await?;
    let (with_store, by_hand) = (median(with_store), median(by_hand));
    let ratio = 100.0 * with_store / by_hand;
    println!("{database:<12}{batch:>6}{with_store:>12.0}{by_hand:>12.0}{ratio:>8.0}");
    Ok(())
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A database for this run: a file of its own, or tables of its own on a server.
pub(crate) struct Place {
    url: String,
    prefix: String,
    file: Option<PathBuf>,
}

impl Place {
    pub(crate) fn of(database: &str) -> Result<Self, Failure> {
        let since = std::time::UNIX_EPOCH.elapsed()?.as_millis() & 0xff_ffff;
        let prefix = format!("b{:x}_{since:x}_", std::process::id());
        let variable = match database {
            "postgres" => "ASYNCZ_TEST_POSTGRES",
            "mysql" => "ASYNCZ_TEST_MYSQL",
            "redis" | "redis-mem" => "ASYNCZ_TEST_REDIS",
            "mongodb" => "ASYNCZ_TEST_MONGODB",
            _ => {
                // Not in a folder that may be in memory.
                let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{prefix}stores.db"));
                let url = format!("sqlite://{}", file.display());
                return Ok(Self { url, prefix, file: Some(file) });
            }
        };
        let url = std::env::var(variable)
            .map_err(|_| format!("{variable} is not set: tests/servers -- cargo bench …"))?;
        Ok(Self { url, prefix, file: None })
    }

    pub(crate) fn store(&self, prefix: &str) -> Arc<dyn Store> {
        if self.url.starts_with("redis:") {
            return Arc::new(RedisStore::new(&self.url).prefix(prefix));
        }
        if self.url.starts_with("mongodb:") {
            return Arc::new(MongoStore::new(&self.url).database(bare_mongo::DATABASE).collection(prefix));
        }
        Arc::new(SqlStore::new(&self.url).table_prefix(prefix))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        for end in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
}
