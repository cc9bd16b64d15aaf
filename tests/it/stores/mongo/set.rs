//! A set of three members that know their users: what becomes of a store whose primary goes away, and of one that may not do
//! what it must.

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use asyncz::mongodb::Client;
use asyncz::mongodb::bson::{Document, doc};
use asyncz::mongodb::event::EventHandler;
use asyncz::mongodb::event::command::CommandEvent;
use asyncz::mongodb::options::ClientOptions;
use asyncz::{
    AsynczConfig, Clock, IntervalTrigger, MongoStore, Recover, RunFilter, RunStatus, Scheduler, Store,
    SystemClock, Task, TaskContext,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::Place;
use super::place::DATABASE;

/// The set, as its first user is connected with it.
struct Set {
    url: String,
    root: Client,
}

/// One test at a time: in some the primary goes away.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl Set {
    async fn new() -> Self {
        let url = std::env::var("ASYNCZ_TEST_MONGODB_SET")
            .expect("ASYNCZ_TEST_MONGODB_SET is not set: run the tests by tests/servers -- COMMAND");
        let root = Client::with_uri_str(&url).await.unwrap();
        Self { url, root }
    }

    /// A place for a new user with this role in the tests' database, and its url without user and password.
    async fn place_of(&self, role: &str) -> (Place, String) {
        let (_, members) = self.url.split_once('@').unwrap();
        let place = Place::at(String::new());
        let user = &place.collection;
        let roles = vec![doc! { "role": role, "db": DATABASE }];
        self.run(doc! { "createUser": user, "pwd": "secret", "roles": roles }).await;
        let url = format!("mongodb://{user}:secret@{members}");
        (Place { url, collection: user.clone() }, format!("mongodb://{members}"))
    }

    async fn run(&self, command: Document) -> Document {
        self.root.database("admin").run_command(command).await.unwrap()
    }

    async fn step_down(&self) {
        // It may cut the connection on which it was told so.
        let command = doc! { "replSetStepDown": 5, "force": true };
        _ = self.root.database("admin").run_command(command).await;
    }

    async fn kill_primary(&self) {
        let primary = self.run(doc! { "hello": 1 }).await.get_str("primary").unwrap().to_owned();
        let (_, port) = primary.rsplit_once(':').unwrap();
        let known = std::fs::read_to_string(std::env::var("ASYNCZ_TEST_MONGODB_SET_PID").unwrap()).unwrap();
        let process = known.lines().find_map(|line| line.strip_prefix(&format!("{port} "))).unwrap();
        assert!(Command::new("kill").args(["-9", process]).status().unwrap().success());
    }
}

/// What was executed: when it was due.
#[derive(Clone, Default)]
struct Executed(Arc<Mutex<Vec<DateTime<Utc>>>>);

impl Executed {
    fn all(&self) -> MutexGuard<'_, Vec<DateTime<Utc>>> {
        self.0.lock().unwrap()
    }

    /// A task that notes here what it executes.
    fn task(&self) -> Task {
        let executed = self.clone();
        let note = move |ctx: TaskContext| {
            let executed = executed.clone();
            async move { executed.all().push(ctx.scheduled_at()) }
        };
        Task::from_fn("note", note).id("t")
    }

    /// Waits for so many more.
    async fn grow_by(&self, more: usize) {
        let most = self.all().len() + more;
        for _ in 0..600 {
            if self.all().len() >= most {
                return;
            }
            a_moment().await;
        }
        panic!("it does not go on: {:?}", self.all());
    }
}

async fn a_moment() {
    SystemClock.sleep_until(SystemClock.now() + TimeDelta::milliseconds(50)).await;
}

const EVERY: Duration = Duration::from_millis(250);

async fn start(name: &str, place: &Place, executed: &Executed) -> Scheduler {
    let task = executed.task().trigger(IntervalTrigger::every(EVERY));
    let task = task.coalesce(false).max_instances(1_000);
    let config = AsynczConfig::new().without_registry().identity(name).store("default", place.store());
    let config = config.store_retry_interval(Duration::from_millis(100));
    let scheduler = config.task(task.recover(Recover::Abandon).replace_existing(true)).scheduler();
    scheduler.start().await.unwrap();
    scheduler
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_primary_goes_on_where_the_last_one_stood() {
    let _alone = ALONE.lock().await;
    let set = Set::new().await;
    let (place, _) = set.place_of("readWrite").await;
    let executed = Executed::default();
    let schedulers = [start("one", &place, &executed).await, start("other", &place, &executed).await];
    executed.grow_by(5).await;

    set.step_down().await;
    executed.grow_by(10).await;
    set.kill_primary().await;
    executed.grow_by(10).await;

    for scheduler in &schedulers {
        scheduler.pause().await.unwrap();
    }
    let mut runs = Vec::new();
    for _ in 0..600 {
        runs = schedulers[0].runs(RunFilter::new().task("t")).await.unwrap();
        if runs.iter().all(|run| run.status.is_final()) {
            break;
        }
        a_moment().await;
    }
    let mut decided: Vec<_> = runs.iter().map(|run| run.occurrence.due).collect();
    decided.sort_unstable();
    let every = TimeDelta::from_std(EVERY).unwrap();
    assert!(decided.windows(2).all(|pair| pair[1] - pair[0] == every), "each is decided once: {decided:?}");
    let unlike: Vec<_> = runs.iter().filter(|run| run.status != RunStatus::Succeeded).collect();
    assert!(unlike.is_empty(), "{unlike:?}");
    executed.all().sort_unstable();
    assert_eq!(*executed.all(), decided, "each is executed once");
    for scheduler in schedulers {
        scheduler.stop().await.unwrap();
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn a_store_that_may_not_do_what_it_must_says_what_it_lacks() {
    let _alone = ALONE.lock().await;
    let set = Set::new().await;
    let (writer, nobody) = set.place_of("readWrite").await;
    let (reader, _) = set.place_of("read").await;
    for (url, advice) in [
        (writer.url.replace("secret", "wrong-password"), "user or password is wrong"),
        (nobody, "write another user"),
        (reader.url.clone(), "give it the role `readWrite`"),
    ] {
        let error = writer.store_at(&url).start().await.unwrap_err();

        let told = in_words(&error);
        assert!(told.contains("can't be opened") && told.contains(advice), "{told}");
        assert!(!format!("{told} {error:?}").contains("wrong-password"), "{error:?}");
    }
    let store: MongoStore = writer.store();
    store.start().await.unwrap();
    store.shutdown().await.unwrap();
}

/// A program's own client may go by anything: what a store writes is on the disks of a majority before it is answered, and what it
/// reads comes from the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_writes_to_a_majority_whatever_its_client_goes_by() {
    let _alone = ALONE.lock().await;
    let set = Set::new().await;
    let (place, _) = set.place_of("readWrite").await;
    let commands = Arc::new(Mutex::new(Vec::new()));
    let heard = commands.clone();
    let url = format!("{}&w=1&readPreference=secondary&readConcernLevel=local", place.url);
    let mut options = ClientOptions::parse(url).await.unwrap();
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(started) = event {
            heard.lock().unwrap().push((started.command_name, started.command));
        }
    }));
    let client = Client::with_options(options).unwrap();
    let store = MongoStore::with_client(client).database(DATABASE).collection(&place.collection);
    let config = AsynczConfig::new().without_registry().store("default", store);
    let executed = Executed::default();
    let scheduler = config.task(executed.task()).scheduler();
    scheduler.start().await.unwrap();
    executed.grow_by(1).await;
    scheduler.stop().await.unwrap();

    let commands = commands.lock().unwrap();
    let of = |names: &[&str]| {
        let named = commands.iter().filter(|(name, _)| names.contains(&&**name));
        named.map(|(_, command)| command.clone()).collect::<Vec<_>>()
    };
    let commits = of(&["commitTransaction"]);
    let writes = of(&["insert", "update", "delete", "findAndModify"]);
    let (in_steps, alone): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|write| write.contains_key("autocommit"));
    assert!(!commits.is_empty() && !in_steps.is_empty() && !alone.is_empty(), "{commands:?}");
    for write in alone.iter().chain(&commits) {
        let concern = write.get_document("writeConcern").unwrap_or_else(|_| panic!("{write:?}"));
        assert_eq!(concern, &doc! { "w": "majority", "j": true }, "{write:?}");
    }
    for read in of(&["find", "aggregate", "hello"]) {
        let from =
            read.get_document("$readPreference").and_then(|from| from.get_str("mode")).unwrap_or("primary");
        assert_eq!(from, "primary", "{read:?}");
    }
}
