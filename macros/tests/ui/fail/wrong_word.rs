use asyncz::task;

#[task(every = "1h", overlap = "queue-all")]
async fn spelt_otherwise() {}

#[task(every = "1h", overlap = queue_all)]
async fn without_quotes() {}

#[task(every = "1h", recover = "restart")]
async fn another_word() {}

#[task(every = "1h", recover = false)]
async fn no_word() {}

fn main() {}
