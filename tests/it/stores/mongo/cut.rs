//! A server that goes away and comes back: connections are cut and refused for a while, as when it is restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asyncz::stores::{Changes, ClaimOutcome};
use asyncz::{Clock, MongoStore, NodeId, RunStatus, Store, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::held::claim;
use super::sharing::{change, ears, with_a_task};
use super::{Place, every_ten_seconds, started};
use crate::scheduler::{at_noon, history, seconds};

/// Stands between a store and its server.
struct Between {
    url: String,
    is_up: watch::Sender<bool>,
    /// Whoever asks for a commit is cut off, and the server never hears of it.
    loses_commits: Arc<AtomicBool>,
}

impl Between {
    async fn new(place: &Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (before, after) = place.url.split_once("127.0.0.1:").unwrap();
        let (server_port, path) = after.split_once('/').unwrap();
        let server: u16 = server_port.parse().unwrap();
        let url = format!("{before}127.0.0.1:{port}/{path}");
        let (is_up, up) = watch::channel(true);
        let loses_commits = Arc::new(AtomicBool::new(false));
        let loses = loses_commits.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut up, loses) = (up.clone(), loses.clone());
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    let (mut from_client, mut to_client) = client.split();
                    let (mut from_server, mut to_server) = server.split();
                    tokio::select! {
                        _ = copy(&mut from_server, &mut to_client) => {}
                        _ = hand_on(&mut from_client, &mut to_server, &loses) => {}
                        _ = up.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Self { url, is_up, loses_commits }
    }

    fn cut(&self) {
        self.is_up.send_replace(false);
    }

    fn mend(&self) {
        self.is_up.send_replace(true);
    }

    fn lose_commits(&self, loses: bool) {
        self.loses_commits.store(loses, Ordering::SeqCst);
    }

    /// A store that looks for its server no longer than a test waits.
    fn store(&self, place: &Place) -> MongoStore {
        place.store_at(&format!("{}&serverSelectionTimeoutMS=500", self.url)).server_clock(false)
    }
}

/// What a client says, up to a commit that is to be lost.
async fn hand_on(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    loses_commits: &AtomicBool,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let length = from.read(&mut buffer).await?;
        let said = &buffer[..length];
        let is_commit = said.windows(17).any(|word| word == b"commitTransaction");
        if length == 0 || (is_commit && loses_commits.load(Ordering::SeqCst)) {
            return Ok(());
        }
        to.write_all(said).await?;
    }
}

/// The server believes in a transaction for a minute, however its connection has gone, and locks what it has touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_left_open_when_the_connection_was_cut_is_given_up_at_once() {
    let place = Place::new();
    with_a_task(&place).await;
    let between = Between::new(&place).await;
    let store = between.store(&place);
    store.start().await.unwrap();
    let task = store.load(&["t".into()]).await.unwrap().pop().flatten().unwrap();
    let claims = [claim(&task, SystemClock.now())];

    between.lose_commits(true);
    store.claim(NodeId::from(1), &claims).await.unwrap_err();
    between.lose_commits(false);
    let outcomes = store.claim(NodeId::from(1), &claims).await.unwrap();

    assert_eq!(outcomes, [ClaimOutcome::Won { removed: false }]);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_server_is_away() {
    let place = Place::new();
    let between = Between::new(&place).await;
    let (clock, config) = at_noon();
    let config = config.store_retry_interval(seconds(5)).store("default", between.store(&place));
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t").coalesce(false)).await.unwrap();
    clock.advance(seconds(15)).await;

    between.cut();
    clock.advance(seconds(20)).await;
    between.mend();
    clock.advance(seconds(20)).await;

    let entries = history(&scheduler, "t").await;
    let due: Vec<_> = entries.iter().map(|(_, due)| *due).collect();
    assert_eq!(due, [10, 20, 30, 40, 50], "{entries:?}");
    // One of them may have been claimed just when the connection was cut.
    let succeeded = entries.iter().filter(|(status, _)| *status == RunStatus::Succeeded).count();
    assert!(succeeded >= 2, "{entries:?}");
    scheduler.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_listened_to_again_after_it_was_away() {
    let place = Place::new();
    with_a_task(&place).await;
    let between = Between::new(&place).await;
    let teller = started(&place).await;
    let hearer = Arc::new(between.store(&place));
    hearer.start().await.unwrap();
    let (listener, mut hears) = ears();
    assert_eq!(hearer.changes(listener), Changes::Told);
    while tokio::time::timeout(seconds(3), hears.recv()).await.is_ok() {}

    between.cut();
    // It is told each second while nothing can be heard.
    for _ in 0..2 {
        tokio::time::timeout(seconds(5), hears.recv()).await.unwrap().unwrap();
    }
    between.mend();
    while tokio::time::timeout(seconds(3), hears.recv()).await.is_ok() {}

    change(&teller).await;
    tokio::time::timeout(seconds(1), hears.recv()).await.unwrap().unwrap();
    hearer.shutdown().await.unwrap();
}
