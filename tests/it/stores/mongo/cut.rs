//! A server that goes away and comes back: connections are cut and refused for a while, as when it is restarted.

use std::sync::Arc;

use asyncz::stores::Changes;
use asyncz::{MongoStore, RunStatus, Store};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::sharing::{change, ears, with_a_task};
use super::{Place, every_ten_seconds, started};
use crate::scheduler::{at_noon, history, seconds};

/// Stands between a store and its server.
struct Between {
    url: String,
    is_up: watch::Sender<bool>,
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
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut up = up.clone();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = up.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Self { url, is_up }
    }

    fn cut(&self) {
        self.is_up.send_replace(false);
    }

    fn mend(&self) {
        self.is_up.send_replace(true);
    }

    /// A store that looks for its server no longer than a test waits.
    fn store(&self, place: &Place) -> MongoStore {
        place.store_at(&format!("{}&serverSelectionTimeoutMS=500", self.url)).server_clock(false)
    }
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
