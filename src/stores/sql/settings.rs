//! What a store of SQL is told before it is opened.

use std::fmt;
use std::time::Duration;

use super::dialect::{Dialect, Names, Writer};
use crate::stores::crypt::Keys;
use crate::stores::{LEASE, StoreError};

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) url: String,
    pub(super) prefix: String,
    pub(super) schema: Option<String>,
    pub(super) lease: Duration,
    pub(super) max_connections: u32,
    pub(super) server_clock: bool,
    pub(super) keys: Keys,
}

impl Settings {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            prefix: "asyncz_".to_owned(),
            schema: None,
            lease: LEASE,
            max_connections: 5,
            server_clock: true,
            keys: Keys::default(),
        }
    }

    /// Who writes statements for it, or what is wrong with what was said.
    pub(super) fn writer(&self) -> Result<Writer, StoreError> {
        let dialect = self.dialect()?;
        for (what, name) in [("table_prefix", Some(&self.prefix)), ("schema", self.schema.as_ref())] {
            if let Some(name) = name
                && (name.len() > 40
                    || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
            {
                return Err(StoreError::new(format!(
                    "{what} `{name}`: write at most 40 small letters, digits and underscores"
                )));
            }
        }
        if self.schema.is_some() && dialect != Dialect::Postgres {
            return Err(StoreError::new("only PostgreSQL has schemas: use table_prefix"));
        }
        if self.schema.as_deref() == Some("") {
            return Err(StoreError::new("schema ``: write a name, or leave it out"));
        }
        let names = Names { prefix: self.prefix.clone(), schema: self.schema.clone() };
        Ok(Writer { dialect, names, server_clock: self.server_clock })
    }

    fn dialect(&self) -> Result<Dialect, StoreError> {
        let scheme = self.url.split(':').next().unwrap_or_default();
        let (dialect, feature, is_built_in) = match scheme {
            "sqlite" => (Dialect::Sqlite, "sqlite", cfg!(feature = "sqlite")),
            "postgres" | "postgresql" => (Dialect::Postgres, "postgres", cfg!(feature = "postgres")),
            "mysql" | "mariadb" => (Dialect::MySql, "mysql", cfg!(feature = "mysql")),
            _ => {
                return Err(StoreError::new(format!(
                    "{} is no database of SqlStore: its url begins with sqlite:, postgres:, mysql: or mariadb:",
                    self.place()
                )));
            }
        };
        if !is_built_in {
            return Err(StoreError::new(format!(
                "{} needs the feature `{feature}` of asyncz, which is not turned on",
                self.place()
            )));
        }
        if dialect == Dialect::Sqlite && self.url.contains(":memory:") {
            return Err(StoreError::new(format!(
                "{} would keep nothing: use MemoryStore, or a file",
                self.place()
            )));
        }
        Ok(dialect)
    }

    /// The url without what must not be seen: what stands before the host, but for the user's name, and after a `?`.
    pub(super) fn place(&self) -> String {
        let url = self.url.split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = url.split_once("://") else {
            return if url.contains('@') { "a url without `://`".to_owned() } else { format!("`{url}`") };
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
            .field("prefix", &self.prefix)
            .field("schema", &self.schema)
            .field("lease", &self.lease)
            .field("max_connections", &self.max_connections)
            .field("server_clock", &self.server_clock)
            .field("keys", &self.keys)
            .finish()
    }
}
