//! What stands between a store and its server: it cuts connections when it is told to, or is no server at all.

use asyncz::RedisStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Place;

/// See the [module](self).
pub(super) struct Between {
    url: String,
    is_up: watch::Sender<bool>,
}

impl Between {
    pub(super) async fn new(place: &Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server: u16 = place.url.rsplit_once(':').unwrap().1.parse().unwrap();
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
        Self { url: format!("redis://127.0.0.1:{port}"), is_up }
    }

    pub(super) fn cut(&self) {
        self.is_up.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.is_up.send_replace(true);
    }

    pub(super) fn store(&self, place: &Place) -> RedisStore {
        RedisStore::new(&self.url).prefix(&place.prefix).server_clock(false)
    }
}

/// The url of a server that says this of itself when it is asked for INFO, and is content with all else.
pub(super) async fn server_that_says(info: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(read @ 1..) = client.read(&mut buffer).await {
                    let asked = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    // Each command is an array.
                    for command in asked.split('*').skip(1) {
                        let answer = if command.contains("INFO") && !command.contains("SETINFO") {
                            format!("${}\r\n{info}\r\n", info.len())
                        } else if command.contains("EVALSHA") {
                            // Every text that is asked for is empty.
                            "$0\r\n\r\n".to_owned()
                        } else {
                            "+OK\r\n".to_owned()
                        };
                        client.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    format!("redis://127.0.0.1:{port}")
}
