use asyncz::task;

#[task("0 9 * * *")]
async fn without_name() {}

#[task(coalesce)]
async fn flag() {}

#[task(every =)]
async fn nothing() {}

#[task(cron("0 9 * * *"))]
async fn in_brackets() {}

#[task(every = "1h" id = "hourly")]
async fn without_comma() {}

fn main() {}
