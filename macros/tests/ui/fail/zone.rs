use asyncz::task;

#[task(cron = "0 9 * * *", timezone = "Europe/Berln")]
async fn mistyped() {}

#[task(cron = "0 9 * * *", timezone = "CEST+1")]
async fn unknown() {}

fn main() {}
