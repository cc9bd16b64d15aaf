use asyncz::task;

#[task(at = "2026-02-29T09:00:00Z")]
async fn no_such_day() {}

#[task(at = "24.12.2026")]
async fn another_form() {}

#[task(every = "1h", start_at = "tomorrow")]
async fn words() {}

#[task(every = "1h", next_run_time = "2026-12-24T18:00:00")]
async fn no_offset() {}

#[task(every = "1h", start_at = "2026-12-24T18:00:00Z", end_at = "2026-12-24T18:00:00+01:00")]
async fn end_before_start() {}

fn main() {}
