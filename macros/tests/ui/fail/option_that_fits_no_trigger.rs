use asyncz::task;

#[task(at = "2026-12-24T18:00:00Z", jitter = "5s", timezone = "Europe/Berlin", start_at = "2026-12-24T18:00:00Z")]
async fn beside_a_date() {}

#[task(at = "2026-12-24T18:00:00Z", coalesce = false, max_catch_up = 5, next_run_time = "2026-12-24T19:00:00Z")]
async fn once() {}

#[task(every = "1h", timezone = "Europe/Berlin")]
async fn beside_an_interval() {}

#[task(on = "shutdown", jitter = "5s", timezone = "Europe/Berlin", end_at = "2026-12-24T18:00:00Z")]
async fn beside_the_end() {}

#[task(on = "shutdown", coalesce = true, mistrigger_grace_time = "1s", overlap = "skip", retries = 3)]
async fn at_last() {}

#[task(trigger = asyncz::IntervalTrigger::every(PERIOD), timezone = "Europe/Berlin", end_at = "2026-12-24T18:00:00Z")]
async fn beside_an_expression() {}

#[task(timezone = "Europe/Berlin", start_at = "2026-12-24T18:00:00")]
async fn beside_nothing() {}

#[task(next_run_time = "2026-12-24T18:00:00Z")]
async fn first_of_none() {}

const PERIOD: std::time::Duration = std::time::Duration::from_secs(60);

fn main() {}
