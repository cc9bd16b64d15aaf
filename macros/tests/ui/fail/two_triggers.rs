use asyncz::task;

#[task(cron = "0 9 * * *", every = "2m")]
async fn torn() {}

fn main() {}
