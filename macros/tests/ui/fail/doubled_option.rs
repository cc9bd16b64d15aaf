use asyncz::task;

#[task(every = "1h", id = "one", id = "two")]
async fn twice() {}

#[task(every = "1h", misfire_grace_time = "1s", mistrigger_grace_time = "1s")]
async fn in_two_spellings() {}

fn main() {}
