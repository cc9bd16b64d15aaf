//! What a store of MongoDB is told before it is opened.

use std::fmt;
use std::time::Duration;

use mongodb::Client;
use mongodb::options::ClientOptions;

use crate::stores::crypt::Keys;
use crate::stores::{LEASE, StoreError};

#[derive(Clone)]
pub(super) struct Settings {
    server: Server,
    pub(super) database: String,
    pub(super) collection: String,
    pub(super) lease: Duration,
    pub(super) server_clock: bool,
    pub(super) keys: Keys,
}

/// Where the server is.
#[derive(Clone)]
enum Server {
    Url(String),
    /// As the program itself is connected with it.
    Client(Client),
}

/// How long a server is looked for, unless the url says it (`serverSelectionTimeoutMS`): less than a scheduler waits for its
/// store, so that it hears what is wrong.
const LOOKED_FOR: Duration = Duration::from_secs(5);

impl Settings {
    pub(super) fn of_url(url: String) -> Self {
        Self::new(Server::Url(url))
    }

    pub(super) fn of_client(client: Client) -> Self {
        Self::new(Server::Client(client))
    }

    fn new(server: Server) -> Self {
        Self {
            server,
            database: "asyncz".to_owned(),
            collection: "tasks".to_owned(),
            lease: LEASE,
            server_clock: true,
            keys: Keys::default(),
        }
    }

    /// A client, and whether it is the store's own.
    pub(super) async fn client(&self) -> Result<(Client, bool), StoreError> {
        self.check_names()?;
        let url = match &self.server {
            Server::Client(client) => return Ok((client.clone(), false)),
            Server::Url(url) => url,
        };
        let place = self.place();
        if !(url.starts_with("mongodb://") || url.starts_with("mongodb+srv://")) {
            return Err(StoreError::new(format!(
                "{place} is no address of MongoDB: it begins with mongodb:// or mongodb+srv://"
            )));
        }
        let wrong = |error: mongodb::error::Error| {
            // What the driver says may quote what must not be seen.
            let why = if has_secret(url) { String::new() } else { format!(": {}", error.kind) };
            StoreError::new(format!("{place} is no address of MongoDB that can be used{why}"))
        };
        let mut options = ClientOptions::parse(url).await.map_err(wrong)?;
        options.server_selection_timeout.get_or_insert(LOOKED_FOR);
        options.app_name.get_or_insert_with(|| "asyncz".to_owned());
        Ok((Client::with_options(options).map_err(wrong)?, true))
    }

    /// What MongoDB takes for names, and says of only when something is written.
    fn check_names(&self) -> Result<(), StoreError> {
        let is_database = |c: char| !matches!(c, '/' | '\\' | '.' | ' ' | '"' | '$' | '\0');
        if self.database.is_empty() || self.database.len() > 63 || !self.database.chars().all(is_database) {
            return Err(StoreError::new(format!(
                "database `{}`: write at most 63 characters, none of them one of /\\. \"$",
                self.database
            )));
        }
        let name = &self.collection;
        let is_reserved = name.starts_with("system.") || name.starts_with('.') || name.ends_with('.');
        if name.is_empty() || name.len() > 100 || name.contains(['$', '\0']) || is_reserved {
            return Err(StoreError::new(format!(
                "collection `{name}`: write at most 100 characters without `$`, that don't begin with `system.` or a dot"
            )));
        }
        Ok(())
    }

    /// Where it is, without what must not be seen.
    pub(super) fn place(&self) -> String {
        let Server::Url(url) = &self.server else {
            return format!("the program's own MongoDB, database `{}`,", self.database);
        };
        let url = url.split('?').next().unwrap_or_default();
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

/// Whether an address has a password, or an option that is as good as one.
fn has_secret(url: &str) -> bool {
    let url = url.to_lowercase();
    ["@", "password", "token"].iter().any(|secret| url.contains(secret))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.place())
            .field("database", &self.database)
            .field("collection", &self.collection)
            .field("lease", &self.lease)
            .field("server_clock", &self.server_clock)
            .field("keys", &self.keys)
            .finish()
    }
}
