//! The least commands that write what a fire writes in MongoDB: see [`bare`](crate::bare).

use asyncz::async_trait;
use asyncz::mongodb::bson::raw::RawArrayBuf;
use asyncz::mongodb::bson::{DateTime, RawDocumentBuf, rawdoc};
use asyncz::mongodb::options::{Acknowledgment, ReadConcern, WriteConcern};
use asyncz::mongodb::{Client, ClientSession, Database};

use crate::bare::{Bare, Done};
use crate::fires::Fires;
use crate::{Failure, Fire};

pub(crate) const DATABASE: &str = "asyncz_benches";

/// A session, and the collections.
pub(crate) struct Mongo {
    session: ClientSession,
    database: Database,
    tasks: String,
    runs: String,
    /// The tasks' ids: those of the others are numbers.
    ids: Vec<String>,
}

impl Mongo {
    pub(crate) async fn open(url: &str, collection: &str, fires: &Fires) -> Result<Self, Failure> {
        let client = Client::with_uri_str(url).await?;
        Ok(Self {
            session: client.start_session().await?,
            database: client.database(DATABASE),
            tasks: collection.to_owned(),
            runs: format!("{collection}.runs"),
            ids: fires.tasks.iter().map(|task| task.id().to_string()).collect(),
        })
    }

    async fn begin(&mut self) -> Done {
        let durably = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let start = self.session.start_transaction();
        start.read_concern(ReadConcern::snapshot()).write_concern(durably).await?;
        Ok(())
    }

    async fn run(&mut self, command: RawDocumentBuf) -> Done {
        let answer = self.database.run_raw_command(command).session(&mut self.session).await?;
        match answer.get_array("writeErrors") {
            Ok(errors) => Err(format!("{errors:?}").into()),
            Err(_) => Ok(()),
        }
    }
}

fn each(fires: &[Fire], statement: impl Fn(&Fire) -> RawDocumentBuf) -> RawArrayBuf {
    let mut all = RawArrayBuf::new();
    fires.iter().for_each(|fire| all.push(statement(fire)));
    all
}

#[async_trait]
impl Bare for Mongo {
    async fn claim(&mut self, fires: &[Fire]) -> Done {
        let ids = &self.ids;
        let schedules = each(fires, |fire| {
            let set = rawdoc! {
                "schedule.running": 1_i64,
                "schedule.watermark": fire.due,
                "schedule.next_run_time": fire.next,
                "due_at": fire.next,
            };
            let update = rawdoc! { "$inc": { "schedule.version": 1_i64 }, "$set": set };
            rawdoc! { "q": { "_id": ids[fire.at].as_str() }, "u": update }
        });
        let entries = each(fires, |fire| {
            rawdoc! {
                "_id": fire.run_text.as_str(),
                "task": ids[fire.at].as_str(),
                "open": "runs",
                "due": fire.due,
                "generation": 0_i64,
                "attempt": 1_i64,
                "is_catch_up": false,
                "by_hand": false,
                "occurrences": 1_i64,
                "more": false,
                "status": "claimed",
                "node": &*fire.node_text,
                "decided_at": fire.now,
                "made_at": DateTime::from_millis(fire.now / 1_000),
            }
        });
        let schedules = rawdoc! { "update": self.tasks.as_str(), "updates": schedules };
        let entries = rawdoc! { "insert": self.runs.as_str(), "documents": entries };
        self.begin().await?;
        self.run(schedules).await?;
        self.run(entries).await?;
        Ok(self.session.commit_transaction().await?)
    }

    async fn finish(&mut self, fires: &[Fire]) -> Done {
        let ids = &self.ids;
        let ends = each(fires, |fire| {
            let set = rawdoc! {
                "open": null,
                "status": "succeeded",
                "started_at": fire.now,
                "finished_at": fire.now,
            };
            rawdoc! { "q": { "_id": fire.run_text.as_str() }, "u": { "$set": set } }
        });
        let tasks = each(fires, |fire| {
            let update =
                rawdoc! { "$inc": { "schedule.version": 1_i64 }, "$set": { "schedule.running": 0_i64 } };
            rawdoc! { "q": { "_id": ids[fire.at].as_str() }, "u": update }
        });
        let ends = rawdoc! { "update": self.runs.as_str(), "updates": ends };
        let tasks = rawdoc! { "update": self.tasks.as_str(), "updates": tasks };
        self.begin().await?;
        self.run(ends).await?;
        self.run(tasks).await?;
        Ok(self.session.commit_transaction().await?)
    }
}
