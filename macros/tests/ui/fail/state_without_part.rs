use asyncz::task;
use axum::extract::{FromRef, State};

#[derive(Clone)]
struct Mailer;

#[derive(Clone)]
struct Other;

#[derive(Clone, FromRef)]
struct AppState {
    mailer: Mailer,
}

#[task(every = "1h", state = AppState)]
async fn right(_: State<Mailer>, _: State<AppState>) {}

#[task(every = "1h", state = AppState)]
async fn wrong(_: State<Other>) {}

fn main() {}
