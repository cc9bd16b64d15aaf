use asyncz::{Scheduler as S, task};

#[task]
async fn many(_: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S, _: S) {}

fn main() {}
