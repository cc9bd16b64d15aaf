//! What a store in Redis is told before it is opened.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::stores::crypt::Keys;
use crate::stores::{LEASE, StoreError};

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) url: String,
    pub(super) database: Option<i64>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) prefix: String,
    pub(super) tasks_key: String,
    pub(super) run_times_key: String,
    pub(super) lease: Duration,
    pub(super) server_clock: bool,
    pub(super) keys: Keys,
}

/// Where the server is, or some of a cluster's.
pub(super) enum Servers {
    One(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
}

/// Names of keys that are taken: see `scripts/common.lua`.
const TAKEN: [&str; 18] = [
    "mark",
    "ids",
    "definitions",
    "runs",
    "results",
    "order",
    "history",
    "open",
    "cancels",
    "handlers",
    "tasks_of",
    "nodes",
    "changes",
    "most_kept",
    "too_long",
    "last_key",
    "last_handler",
    "looked_at",
];

impl Settings {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            database: None,
            username: None,
            password: None,
            prefix: "asyncz".to_owned(),
            tasks_key: "tasks".to_owned(),
            run_times_key: "run_times".to_owned(),
            lease: LEASE,
            server_clock: true,
            keys: Keys::default(),
        }
    }

    /// What all keys begin with, which is the key of the tasks. The prefix stands in braces, by which a cluster keeps them
    /// together.
    pub(super) fn root(&self) -> String {
        format!("{{{}}}:{}", self.prefix, self.tasks_key)
    }

    /// What the keys of due times begin with; one for each handler.
    pub(super) fn run_times(&self) -> String {
        format!("{}:{}", self.root(), self.run_times_key)
    }

    /// On which changes are told.
    pub(super) fn channel(&self) -> String {
        format!("{}:changes", self.root())
    }

    /// What is wrong with the names of keys.
    fn check_names(&self) -> Result<(), StoreError> {
        let names = [
            ("prefix", &self.prefix),
            ("tasks_key", &self.tasks_key),
            ("run_times_key", &self.run_times_key),
        ];
        for (what, name) in names {
            let is_right = !name.is_empty()
                && name.len() <= 200
                && !name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '{' || c == '}');
            if !is_right {
                return Err(StoreError::new(format!(
                    "{what} `{name}`: write 1 to 200 characters without blanks and braces"
                )));
            }
        }
        if TAKEN.contains(&&*self.run_times_key) {
            return Err(StoreError::new(format!(
                "run_times_key `{}` is the name of another key of the store: write another",
                self.run_times_key
            )));
        }
        Ok(())
    }

    /// Where it is, or what is wrong with what was said.
    pub(super) fn servers(&self) -> Result<Servers, StoreError> {
        self.check_names()?;
        let Some((scheme, rest)) = self.url.split_once("://") else { return Err(self.no_address()) };
        let (scheme, is_cluster) = match scheme.strip_suffix("+cluster") {
            Some(scheme) => (scheme, true),
            None => (scheme, false),
        };
        let is_network = ["redis", "rediss", "valkey", "valkeys"].contains(&scheme);
        if !is_network && (is_cluster || !["unix", "redis+unix", "valkey+unix"].contains(&scheme)) {
            return Err(self.no_address());
        }
        if ["rediss", "valkeys"].contains(&scheme) {
            self.check_tls()?;
        }
        if !is_cluster {
            return Ok(Servers::One(Box::new(self.server(&self.url)?)));
        }
        let (user, hosts) = rest.rsplit_once('@').map_or((None, rest), |(user, hosts)| (Some(user), hosts));
        let hosts = hosts.split(['/', '?']).next().unwrap_or_default();
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let urls = hosts.split(',').map(|host| format!("{scheme}://{user}{host}"));
        let servers = urls.map(|url| self.server(&url)).collect::<Result<Vec<_>, _>>()?;
        if servers.iter().any(|server| server.redis_settings().db() != 0) {
            return Err(StoreError::new("a cluster of Redis has only the database 0: leave it out"));
        }
        Ok(Servers::Cluster(servers))
    }

    fn check_tls(&self) -> Result<(), StoreError> {
        if cfg!(feature = "tls") {
            return Ok(());
        }
        let place = self.place();
        Err(StoreError::new(format!("{place} needs the feature `tls` of asyncz, which is not turned on")))
    }

    fn no_address(&self) -> StoreError {
        StoreError::new(format!(
            "{} is no address of RedisStore: it begins with redis://, rediss://, redis+cluster://, rediss+cluster:// or unix://",
            self.place()
        ))
    }

    fn server(&self, url: &str) -> Result<ConnectionInfo, StoreError> {
        let server = url.into_connection_info().map_err(|error| {
            StoreError::new(format!("{} is no address of RedisStore", self.place())).with_source(error)
        })?;
        let said = server.redis_settings();
        let mut settings = RedisConnectionInfo::default().set_protocol(said.protocol());
        settings = settings.set_db(self.database.unwrap_or(said.db()));
        if let Some(username) = self.username.as_deref().or(said.username()) {
            settings = settings.set_username(username);
        }
        if let Some(password) = self.password.as_deref().or(said.password()) {
            settings = settings.set_password(password);
        }
        Ok(server.set_redis_settings(settings))
    }

    /// The url without what must not be seen: what stands before the host, but for the user's name, and after a `?`.
    pub(super) fn place(&self) -> String {
        let url = self.url.split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = url.split_once("://") else {
            return if url.contains('@') {
                "an address without `://`".to_owned()
            } else {
                format!("`{url}`")
            };
        };
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                format!("`{scheme}://{user}@{host}`")
            }
            None => format!("`{url}`"),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.place())
            .field("database", &self.database)
            .field("username", &self.username)
            .field("prefix", &self.prefix)
            .field("tasks_key", &self.tasks_key)
            .field("run_times_key", &self.run_times_key)
            .field("lease", &self.lease)
            .field("server_clock", &self.server_clock)
            .finish_non_exhaustive()
    }
}
