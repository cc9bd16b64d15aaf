//! A scheduler beside something that is no axum server: started and stopped by hand.
//!
//! `cargo run --example lifespan`, then `nc localhost 3001` from another terminal and type something; Ctrl-C ends it in order.
//! `PORT` chooses another port.

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::{AsynczConfig, Lifespan, Provide, TaskContext, task};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Lines echoed so far.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicU64>);

#[task(every = "2s")]
async fn count_lines(Provide(lines): Provide<Lines>) {
    println!("{} lines so far", lines.0.load(Ordering::Relaxed));
}

/// Runs while the scheduler stops, before anything is closed.
#[task(on = "shutdown")]
async fn say_goodbye(ctx: TaskContext) {
    println!("goodbye from {}", ctx.task_id());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lines = Lines::default();

    // First the scheduler, then the port: whoever can connect finds it running.
    let lifespan = Lifespan::start(AsynczConfig::new().provide(lines.clone()).expect_tasks(2)).await?;
    let port = std::env::var("PORT").unwrap_or_else(|_| "3001".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("Echoing on {}", listener.local_addr()?);

    tokio::select! {
        accepted = serve(listener, lines) => accepted?,
        signal = tokio::signal::ctrl_c() => signal?,
    }

    // Nothing new starts; what runs may end. Without this, dropping the lifespan would not wait for it.
    lifespan.shutdown().await?;
    println!("Stopped.");
    Ok(())
}

async fn serve(listener: TcpListener, lines: Lines) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream, lines.clone()));
    }
}

async fn echo(mut stream: TcpStream, lines: Lines) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read).lines();
    while let Some(line) = read.next_line().await? {
        lines.0.fetch_add(1, Ordering::Relaxed);
        write.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}
