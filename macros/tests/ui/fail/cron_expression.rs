use asyncz::task;

#[task(cron = "0 25 * * *")]
async fn hour() {}

#[task(cron = "0 9 * * fri-mon")]
async fn backwards() {}

#[task(cron = "0 9 * *")]
async fn four_fields() {}

#[task(cron = "@dayly")]
async fn unknown_macro() {}

#[task(cron = 9)]
async fn number() {}

const NIGHTLY: &str = "@daily";

#[task(cron = NIGHTLY)]
async fn constant() {}

fn main() {}
