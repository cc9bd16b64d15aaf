//! The mark: a small text about the store as a whole, which tells which key it is encrypted with.

use super::answers;
use super::scripts::MARK;
use super::words::Words;
use super::{RedisStore, StoreError};

impl RedisStore {
    /// Refuses to work with what is encrypted with another key, and notes which key is used from now on.
    pub(super) async fn check_key(&self) -> Result<(), StoreError> {
        let seal = self.seal()?;
        let mut known = self.mark("", "").await?;
        while let Some(mark) = seal.check(known.as_deref())? {
            known = self.mark(known.as_deref().unwrap_or_default(), &mark).await?;
        }
        Ok(())
    }

    /// Writes a mark in the place of the one that is known, and answers which one stands then.
    async fn mark(&self, known: &str, mark: &str) -> Result<Option<String>, StoreError> {
        let mut words = Words::new();
        words.text(known).text(mark);
        let mark = answers::text(self.run("tell its key", &MARK, words).await?)?;
        Ok(Some(mark).filter(|mark| !mark.is_empty()))
    }
}
