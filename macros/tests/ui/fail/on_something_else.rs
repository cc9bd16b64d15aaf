use asyncz::task;

#[task(on = "startup")]
async fn begin() {}

fn main() {}
