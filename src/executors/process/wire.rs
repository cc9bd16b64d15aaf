//! What a scheduler and its workers say to each other: a line of JSON each time.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use uuid::Uuid;

use crate::task::{Assignment, Ended};

/// The variable that tells a process that it is a worker, and whose.
pub(super) const VARIABLE: &str = "ASYNCZ_WORKER";

/// Where a worker is expected, and how the two know each other: the port may be anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invitation {
    pub(super) address: SocketAddr,
    /// What the worker says first.
    pub(super) worker: Token,
    /// What it is answered.
    pub(super) scheduler: Token,
}

impl Invitation {
    pub(super) fn to(address: SocketAddr) -> Self {
        Self { address, worker: Token::new(), scheduler: Token::new() }
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.address, self.worker.0, self.scheduler.0)
    }
}

impl FromStr for Invitation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let mut token = || parts.next_back().filter(|text| text.len() == Token::LENGTH);
        let (scheduler, worker) = (token(), token());
        let address = parts.next().and_then(|address| address.parse().ok());
        match (address, worker, scheduler, parts.next()) {
            (Some(address), Some(worker), Some(scheduler), None) => {
                Ok(Self { address, worker: Token(worker.to_owned()), scheduler: Token(scheduler.to_owned()) })
            }
            _ => Err("its value is none of asyncz"),
        }
    }
}

/// A secret of 122 random bits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    pub(super) const LENGTH: usize = 32;

    fn new() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// How a scheduler greets whoever knows the token, before its own.
pub(super) const WELCOME: u8 = b'+';
/// The worker is here already: this one has only inherited the variable.
pub(super) const IS_HERE: u8 = b'-';

/// A scheduler's words.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker {
    Run(Box<Assignment>),
    Cancel,
    Abort,
}

/// A worker's words.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    /// It has its configuration, and waits for work.
    Ready,
    Ended(Ended),
}

/// The wire, from either end.
#[derive(Debug)]
pub(super) struct Wire {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    /// The two ends, each to be used while the other is.
    pub(super) fn ends(&mut self) -> (Listener<'_>, Speaker<'_>) {
        (Listener(&mut self.lines), Speaker(&mut self.writer))
    }

    /// See [`Listener::hear`].
    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> Option<T> {
        Listener(&mut self.lines).hear().await
    }

    /// See [`Speaker::say`].
    pub(super) async fn say(&mut self, words: &impl Serialize) -> Option<()> {
        Speaker(&mut self.writer).say(words).await
    }
}

pub(super) struct Listener<'a>(&'a mut Lines<BufReader<OwnedReadHalf>>);

impl Listener<'_> {
    /// The next words; `None`: nobody is there any more, or not one who can speak.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> Option<T> {
        let line = self.0.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}

pub(super) struct Speaker<'a>(&'a mut OwnedWriteHalf);

impl Speaker<'_> {
    /// `None`: nobody is there any more. Whoever drops the future speaks no more words that can be understood.
    pub(super) async fn say(&mut self, words: &impl Serialize) -> Option<()> {
        let mut line = serde_json::to_vec(words).ok()?;
        line.push(b'\n');
        self.0.write_all(&line).await.ok()
    }
}
