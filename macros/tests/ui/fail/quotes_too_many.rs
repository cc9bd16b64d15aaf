use asyncz::task;

#[task(every = "1h", state = "AppState")]
async fn for_a_type() {}

#[task(every = "1h", crate = "asyncz")]
async fn for_a_path() {}

#[task(every = "1h", next_run_time = "none", timeout = "none")]
async fn for_none() {}

fn main() {}
