//! A task in a crate that a program may forget.

#[asyncz::task(every = "1h")]
async fn sweep() {}
