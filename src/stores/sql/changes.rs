//! How a scheduler hears of what others have changed.

use super::database::Step;
#[cfg(feature = "postgres")]
use super::dialect::Dialect;
#[cfg(feature = "postgres")]
use super::settings::Settings;
use super::{SqlStore, StoreError};
use crate::stores::{ASK, ChangeListener, Changes};

impl SqlStore {
    /// Tells others that something has changed, when the step is done.
    #[cfg(feature = "postgres")]
    pub(super) async fn tell(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        if step.dialect() == Dialect::Postgres {
            let values = [("channel", self.settings.channel().into()), ("name", self.hearing.name().into())];
            step.run("SELECT pg_notify(:channel, :name)", &values).await?;
        }
        Ok(())
    }

    /// Others ask: these databases tell nobody.
    #[cfg(not(feature = "postgres"))]
    pub(super) async fn tell(&self, _: &mut Step<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Has the listener told of changes where the database tells of them.
    pub(super) fn listen(&self, listener: ChangeListener) -> Changes {
        #[cfg(feature = "postgres")]
        if self.settings.writer().is_ok_and(|writer| writer.dialect == Dialect::Postgres) {
            return self.hearing.listen(listener, || self.ear());
        }
        drop(listener);
        Changes::Ask(ASK)
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::postgres::PgListener;

    use super::{ASK, Settings, SqlStore};
    use crate::stores::hearing::{Hear, Listeners, Silence};

    impl SqlStore {
        /// Hears of changes.
        pub(in crate::stores::sql) fn ear(&self) -> Hear {
            let settings = self.settings.clone();
            Box::new(move |listeners| {
                let settings = settings.clone();
                Box::pin(async move { hear(&settings, &listeners).await })
            })
        }
    }

    impl Settings {
        /// On which PostgreSQL tells of changes.
        pub(super) fn channel(&self) -> String {
            match &self.schema {
                Some(schema) => format!("{}_{}changes", schema, self.prefix),
                None => format!("{}changes", self.prefix),
            }
            .chars()
            .take(63)
            .collect()
        }
    }

    /// As long as nothing was heard, as before the first word or where a pooler stands between, it tells each second.
    async fn hear(settings: &Settings, listeners: &Listeners) -> Result<(), Silence> {
        let (url, channel) = (&*settings.url, settings.channel());
        let mut listener = PgListener::connect(url).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(&channel).await?;
        // What was told before it listened.
        listeners.tell(None);
        let (mut is_heard, mut pause) = (false, tokio::time::interval(ASK));
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(url).await?;
        sqlx::query("SELECT pg_notify($1, 'hello')").bind(&channel).execute(&pool).await?;
        pool.close().await;
        loop {
            tokio::select! {
                heard = listener.try_recv() => match heard? {
                    Some(heard) => {
                        is_heard = true;
                        if heard.payload() != "hello" {
                            listeners.tell(Some(heard.payload().as_bytes()));
                        }
                    }
                    // The connection was lost, and what was told meanwhile with it.
                    None => return Ok(()),
                },
                _ = pause.tick(), if !is_heard => listeners.tell(None),
            }
        }
    }
}
