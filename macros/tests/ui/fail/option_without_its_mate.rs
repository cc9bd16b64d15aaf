use asyncz::task;

#[task(every = "1h", queue_limit = 10)]
async fn waits_for_nothing() {}

#[task(every = "1h", queue_limit = 10, overlap = "queue")]
async fn waits_alone() {}

#[task(every = "1h", retry_backoff = "5s")]
async fn waits_for_no_retry() {}

#[task(every = "1h", retries = 0, retry_backoff = "5s")]
async fn never_tries_again() {}

#[task(every = "1h", coalesce = true, max_catch_up = 5)]
async fn catches_up_with_one() {}

#[task(every = "1h", args = ("you", 2))]
async fn reads_nothing() {}

#[task(every = "1h", timeout = "0s", misfire_grace_time = "0s")]
async fn has_no_time() {}

fn main() {}
