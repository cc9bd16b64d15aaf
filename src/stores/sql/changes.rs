//! How a scheduler hears of what others have changed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::database::Step;
use super::dialect::Dialect;
use super::settings::Settings;
use super::{SqlStore, StoreError};
use crate::stores::{ChangeListener, Changes};
use crate::task::RunId;

/// How often a database that tells nobody is asked.
const ASK: Duration = Duration::from_secs(1);

/// Who listens here.
#[derive(Debug)]
pub(super) struct Listening {
    /// Tells what this store has changed from what others have.
    name: String,
    listeners: Mutex<Vec<ChangeListener>>,
    /// Hears what the database tells.
    ear: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Listening {
    fn default() -> Self {
        Self { name: format!("{:016x}", RunId::boot()), listeners: Mutex::default(), ear: Mutex::default() }
    }
}

impl Listening {
    /// Tells all that listen here of what `teller` has changed. A single one knows what it has done itself.
    #[cfg(feature = "postgres")]
    fn tell(&self, teller: Option<&str>) {
        let mut listeners = lock(&self.listeners);
        if teller != Some(&*self.name) || listeners.len() > 1 {
            listeners.retain(ChangeListener::tell);
        }
    }

    pub(super) fn stop(&self) {
        if let Some(ear) = lock(&self.ear).take() {
            ear.abort();
        }
        lock(&self.listeners).clear();
    }
}

impl Settings {
    /// On which PostgreSQL tells of changes.
    fn channel(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}_{}changes", schema, self.prefix),
            None => format!("{}changes", self.prefix),
        }
        .chars()
        .take(63)
        .collect()
    }
}

impl SqlStore {
    /// Tells others that something has changed, when the step is done.
    pub(super) async fn tell(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        if step.dialect() == Dialect::Postgres {
            let values =
                [("channel", self.settings.channel().into()), ("name", self.listening.name.as_str().into())];
            step.run("SELECT pg_notify(:channel, :name)", &values).await?;
        }
        Ok(())
    }

    /// Has the listener told of changes where the database tells of them.
    pub(super) fn listen(&self, listener: ChangeListener) -> Changes {
        let Ok(writer) = self.settings.writer() else { return Changes::Ask(ASK) };
        let runtime = tokio::runtime::Handle::try_current();
        match (writer.dialect, runtime) {
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Ok(runtime)) => {
                lock(&self.listening.listeners).push(listener);
                let mut ear = lock(&self.listening.ear);
                if ear.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
                    let (settings, listening) = (self.settings.clone(), self.listening.clone());
                    *ear = Some(runtime.spawn(postgres::hear(settings, listening)));
                }
                Changes::Told
            }
            _ => {
                drop(listener);
                Changes::Ask(ASK)
            }
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::Arc;

    use sqlx::postgres::PgListener;

    use super::{ASK, Listening, Settings};

    /// Hears what PostgreSQL tells, until it is aborted. As long as nothing was heard, as before the first word or where a
    /// pooler stands between, it tells each second: who is told too often asks in vain, and nothing worse.
    pub(super) async fn hear(settings: Settings, listening: Arc<Listening>) {
        let channel = settings.channel();
        let mut pause = tokio::time::interval(ASK);
        loop {
            pause.tick().await;
            listening.tell(None);
            if let Err(error) = hear_once(&settings.url, &channel, &listening, &mut pause).await {
                tracing::debug!(%error, "PostgreSQL can't be listened to; it is asked each second meanwhile");
            }
        }
    }

    async fn hear_once(
        url: &str,
        channel: &str,
        listening: &Listening,
        pause: &mut tokio::time::Interval,
    ) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect(url).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(channel).await?;
        // What was told before it listened.
        listening.tell(None);
        let mut is_heard = false;
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(url).await?;
        sqlx::query("SELECT pg_notify($1, 'hello')").bind(channel).execute(&pool).await?;
        pool.close().await;
        loop {
            tokio::select! {
                heard = listener.try_recv() => match heard? {
                    Some(heard) => {
                        is_heard = true;
                        if heard.payload() != "hello" {
                            listening.tell(Some(heard.payload()));
                        }
                    }
                    // The connection was lost, and what was told meanwhile with it.
                    None => return Ok(()),
                },
                _ = pause.tick(), if !is_heard => listening.tell(None),
            }
        }
    }
}
