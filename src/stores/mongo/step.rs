//! A transaction: what is written in it is there as a whole or not at all.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::raw::RawArrayBuf;
use mongodb::bson::{Document, RawDocumentBuf, rawdoc};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::ReadConcern;

use super::database::{Database, durably, primary};
use super::documents::unreadable;
use super::schema::has_code;
use crate::stores::StoreError;
use crate::task::RunId;

/// An id that is taken. As what has the id was not there when the transaction began, all is tried again.
pub(super) const DUPLICATE: i32 = 11_000;
/// What somebody else's transaction has touched.
const CONFLICT: i32 = 112;
/// The transaction is not there any more: somebody has closed it.
const CLOSED: i32 = 251;

/// A command takes 16 MB, and so many statements at least that they don't come one by one.
const MOST_BYTES: usize = 12_000_000;
const MOST_STATEMENTS: usize = 10_000;

/// How often a commit is asked for whose answer was lost.
const COMMITS: usize = 3;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::new("the database answers with an error").with_source(error)
    }
}

/// A statement that could not be written; the server has given the transaction up.
#[derive(Debug, thiserror::Error)]
#[error("{message} (code {code})")]
struct Unwritten {
    code: i32,
    message: String,
}

fn driver_error(error: &StoreError) -> Option<&Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

/// Whether somebody else was in the way: nothing was written, and the same can be tried again at once.
pub(super) fn is_conflict(error: &StoreError) -> bool {
    let is_one = |code| [DUPLICATE, CONFLICT, CLOSED].contains(&code);
    let source = std::error::Error::source(error);
    if let Some(unwritten) = source.and_then(|source| source.downcast_ref::<Unwritten>()) {
        return is_one(unwritten.code);
    }
    driver_error(error).is_some_and(|error| match error.kind.as_ref() {
        ErrorKind::Command(command) => is_one(command.code),
        _ => has_code(error, DUPLICATE),
    })
}

/// Whether nothing was written, and the same may be tried again.
pub(super) fn is_transient(error: &StoreError) -> bool {
    let has_label = |error: &Error| error.contains_label(TRANSIENT_TRANSACTION_ERROR);
    is_conflict(error) || driver_error(error).is_some_and(has_label)
}

/// Waits a little before the same is tried again, longer each time, and each for another while: who stood in each other's way
/// would meet again.
pub(super) async fn let_pass(tries: usize) {
    let most = 2_u64 << tries.min(5);
    let pause = Duration::from_millis(1 + RunId::boot() % most);
    _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
}

/// See the [module](self). One that is dropped is given up, before the next one begins.
pub(super) struct Step<'a> {
    pub(super) database: &'a Database,
    /// `None`: it is over.
    session: Option<ClientSession>,
    /// As far as we know: the server gives a transaction up of which it refuses something.
    is_open: bool,
}

impl Database {
    pub(super) async fn begin(&self) -> Result<Step<'_>, StoreError> {
        self.close_strays().await?;
        let mut session = self.session().await?;
        let start = session.start_transaction().read_concern(ReadConcern::snapshot());
        start.write_concern(durably()).selection_criteria(primary()).await?;
        Ok(Step { database: self, session: Some(session), is_open: true })
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|_| self.is_open) {
            self.database.sessions.lose(&session);
        }
    }
}

impl Step<'_> {
    fn session(&mut self) -> &mut ClientSession {
        self.session.as_mut().expect("a step that is over is not used")
    }

    /// What the server has answered.
    fn heard<T>(&mut self, answer: Result<T, Error>) -> Result<T, StoreError> {
        answer.map_err(|error| {
            self.is_open &= !matches!(*error.kind, ErrorKind::Command(_));
            error.into()
        })
    }

    /// The documents of these ids, as far as they are there.
    pub(super) async fn find(
        &mut self,
        collection: &str,
        filter: Document,
        fields: Document,
    ) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let collection = self.database.all.collection::<RawDocumentBuf>(collection);
        let find = collection.find(filter).projection(fields).batch_size(10_000);
        let cursor = find.session(self.session()).await;
        let mut cursor = self.heard(cursor)?;
        let mut found = Vec::new();
        loop {
            let is_there = cursor.advance(self.session()).await;
            if !self.heard(is_there)? {
                return Ok(found);
            }
            found.push(cursor.current().to_owned());
        }
    }

    /// Carries out statements of the command `update`; answers how many documents they have found or made.
    pub(super) async fn write(
        &mut self,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<usize, StoreError> {
        self.carry_out("update", "updates", collection, statements).await
    }

    pub(super) async fn insert(
        &mut self,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<usize, StoreError> {
        self.carry_out("insert", "documents", collection, documents).await
    }

    /// Carries out statements of the command `delete`; answers how many documents are gone.
    pub(super) async fn delete(
        &mut self,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<usize, StoreError> {
        self.carry_out("delete", "deletes", collection, statements).await
    }

    /// By as few commands as it takes.
    async fn carry_out(
        &mut self,
        command: &str,
        what: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<usize, StoreError> {
        let (mut done, mut bytes, mut count, mut part) = (0, 0, 0, RawArrayBuf::new());
        for statement in statements {
            let length = statement.as_bytes().len();
            if count > 0 && (bytes + length > MOST_BYTES || count >= MOST_STATEMENTS) {
                let full = std::mem::replace(&mut part, RawArrayBuf::new());
                done += self.command(command, what, collection, full).await?;
                (bytes, count) = (0, 0);
            }
            (bytes, count) = (bytes + length, count + 1);
            part.push(statement);
        }
        if count > 0 {
            done += self.command(command, what, collection, part).await?;
        }
        Ok(done)
    }

    async fn command(
        &mut self,
        command: &str,
        what: &str,
        collection: &str,
        statements: RawArrayBuf,
    ) -> Result<usize, StoreError> {
        let key = |key| <&mongodb::bson::raw::CStr>::try_from(key).expect("a command has no NUL");
        let mut text = rawdoc! {};
        text.append(key(command), collection);
        text.append(key(what), statements);
        let answer = self.database.all.run_raw_command(text).session(self.session()).await;
        let answer = self.heard(answer)?;
        if let Some(error) = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
            self.is_open = false;
            let error = error.as_document().cloned().unwrap_or_default();
            let code = error.get_i32("code").unwrap_or_default();
            let message = error.get_str("errmsg").unwrap_or("no reason is given").to_owned();
            return Err(StoreError::new("a statement is refused").with_source(Unwritten { code, message }));
        }
        let count = answer.get_i32("n").map_err(|error| unreadable(error.to_string()))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    pub(super) async fn undo(mut self) -> Result<(), StoreError> {
        self.session().abort_transaction().await?;
        self.give_back();
        Ok(())
    }

    fn give_back(&mut self) {
        if let Some(session) = self.session.take() {
            self.database.sessions.give_back(session);
        }
    }

    /// Makes it last. An error after which it may yet have been written is none that is tried again here: only who has asked
    /// can find out.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let mut commits = 0;
        loop {
            commits += 1;
            let error = match self.session().commit_transaction().await {
                Ok(()) => {
                    self.give_back();
                    return Ok(());
                }
                Err(error) => error,
            };
            let is_unknown = error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
            match is_unknown {
                true if commits < COMMITS => let_pass(commits).await,
                // The first answer says for sure that nothing was written.
                false if commits == 1 => return self.heard(Err(error)),
                _ => {
                    let unknown = StoreError::new("whether it was written is not known");
                    return Err(unknown.with_source(StoreError::from(error)));
                }
            }
        }
    }
}
