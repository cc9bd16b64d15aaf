//! The types of stores and executors that a configuration can name: a line for each.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "mongodb")]
use super::mongo;
use super::options::TypeOptions;
#[cfg(feature = "redis")]
use super::redis;
#[cfg(feature = "_sql")]
use super::sql;
use crate::executors::{AsyncExecutor, DebugExecutor, Executor, ThreadPoolExecutor};
use crate::stores::{MemoryStore, Store};

/// A type by its names.
pub(super) struct Kind<P: ?Sized + 'static> {
    pub(super) names: &'static [&'static str],
    /// What Asyncz calls it, without its module.
    pub(super) class: &'static str,
    pub(super) make: Make<P>,
}

/// How one is made.
pub(super) enum Make<P: ?Sized> {
    Here(fn(&mut TypeOptions) -> Made<P>),
    /// It needs this feature, which is not on.
    #[allow(dead_code, reason = "with every feature nothing is missing")]
    Needs(&'static str),
}

/// A store or an executor that waits for its start: what takes time, or can fail for reasons of the day, comes there.
pub(super) type Made<P> = Result<Arc<P>, BoxError>;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What is there with a feature alone.
macro_rules! with_feature {
    ($feature:literal, $make:path) => {{
        #[cfg(feature = $feature)]
        {
            Make::Here($make)
        }
        #[cfg(not(feature = $feature))]
        {
            Make::Needs($feature)
        }
    }};
}

#[rustfmt::skip]
pub(super) const STORES: &[Kind<dyn Store>] = &[
    Kind { names: &["memory"], class: "MemoryStore", make: Make::Here(memory) },
    Kind { names: &["file"], class: "FileStore", make: FILE },
    Kind { names: &["sqlite"], class: "", make: with_feature!("sqlite", sql::sqlite) },
    Kind { names: &["postgres", "postgresql"], class: "", make: with_feature!("postgres", sql::postgres) },
    Kind { names: &["mysql", "mariadb"], class: "", make: with_feature!("mysql", sql::mysql) },
    Kind { names: &["sql", "sqlalchemy"], class: "SQLAlchemyStore", make: ANY_SQL },
    Kind { names: &["redis"], class: "RedisStore", make: with_feature!("redis", redis::redis) },
    Kind { names: &["mongodb", "mongo"], class: "MongoDBStore", make: with_feature!("mongodb", mongo::store) },
];

#[cfg(feature = "_sql")]
const ANY_SQL: Make<dyn Store> = Make::Here(sql::sql);
#[cfg(not(feature = "_sql"))]
const ANY_SQL: Make<dyn Store> = Make::Needs("sqlite\", \"postgres\" or \"mysql");

#[cfg(all(feature = "file", unix))]
const FILE: Make<dyn Store> = Make::Here(file);
#[cfg(not(all(feature = "file", unix)))]
const FILE: Make<dyn Store> = Make::Needs("file");

#[rustfmt::skip]
pub(super) const EXECUTORS: &[Kind<dyn Executor>] = &[
    Kind { names: &["asyncio", "tokio"], class: "AsyncIOExecutor", make: Make::Here(tokio) },
    Kind { names: &["threadpool", "pool"], class: "ThreadPoolExecutor", make: Make::Here(thread_pool) },
    Kind { names: &["processpool"], class: "ProcessPoolExecutor", make: with_feature!("process", process_pool) },
    Kind { names: &["debug"], class: "DebugExecutor", make: Make::Here(debug) },
];

fn memory(_: &mut TypeOptions) -> Made<dyn Store> {
    Ok(Arc::new(MemoryStore::new()))
}

#[cfg(all(feature = "file", unix))]
fn file(options: &mut TypeOptions) -> Made<dyn Store> {
    let (directory, lease) = (options.text("directory"), options.time("lease"));
    let missing = "its `directory` is missing: write a path, such as `/var/lib/app/tasks`";
    let store = crate::stores::FileStore::new(directory.ok_or(missing)?);
    Ok(Arc::new(match lease {
        Some(lease) => store.lease(lease),
        None => store,
    }))
}

fn tokio(_: &mut TypeOptions) -> Made<dyn Executor> {
    Ok(Arc::new(AsyncExecutor::new()))
}

fn thread_pool(options: &mut TypeOptions) -> Made<dyn Executor> {
    Ok(Arc::new(ThreadPoolExecutor::new(max_workers(options))))
}

#[cfg(feature = "process")]
fn process_pool(options: &mut TypeOptions) -> Made<dyn Executor> {
    Ok(Arc::new(crate::executors::ProcessPoolExecutor::new(max_workers(options))))
}

fn debug(_: &mut TypeOptions) -> Made<dyn Executor> {
    Ok(Arc::new(DebugExecutor::new()))
}

/// 10 unless said, as in Asyncz.
fn max_workers(options: &mut TypeOptions) -> usize {
    options.at_least_1("max_workers").map_or(10, |workers| usize::try_from(workers).unwrap_or(usize::MAX))
}

/// Types of the user's own, by their names.
#[derive(Clone, Default)]
pub(in crate::scheduler) struct OwnKinds {
    pub(super) stores: BTreeMap<String, Factory<dyn Store>>,
    pub(super) executors: BTreeMap<String, Factory<dyn Executor>>,
}

pub(super) type Factory<P> = Arc<dyn Fn(&mut TypeOptions) -> Made<P> + Send + Sync>;

impl OwnKinds {
    pub(in crate::scheduler) fn add_store<S, E>(
        &mut self,
        name: String,
        make: impl Fn(&mut TypeOptions) -> Result<S, E> + Send + Sync + 'static,
    ) where
        S: Store,
        E: Into<BoxError>,
    {
        let make = move |options: &mut TypeOptions| -> Made<dyn Store> {
            Ok(Arc::new(make(options).map_err(Into::into)?))
        };
        self.stores.insert(name, Arc::new(make));
    }

    pub(in crate::scheduler) fn add_executor<X, E>(
        &mut self,
        name: String,
        make: impl Fn(&mut TypeOptions) -> Result<X, E> + Send + Sync + 'static,
    ) where
        X: Executor,
        E: Into<BoxError>,
    {
        let make = move |options: &mut TypeOptions| -> Made<dyn Executor> {
            Ok(Arc::new(make(options).map_err(Into::into)?))
        };
        self.executors.insert(name, Arc::new(make));
    }
}

impl fmt::Debug for OwnKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKinds")
            .field("stores", &self.stores.keys())
            .field("executors", &self.executors.keys())
            .finish()
    }
}
