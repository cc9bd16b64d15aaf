use asyncz::task;

#[task(every = "1h", max_instances = 0)]
async fn no_instances() {}

#[task(every = "1h", max_instances = "two", max_catch_up = -1)]
async fn no_numbers() {}

#[task(every = "1h", coalesce = "true", id = 5, name = "")]
async fn no_flag() {}

#[task(trigger = "0 9 * * *")]
async fn no_trigger() {}

#[task(was = "app::old", handler = NAME)]
async fn no_names() {}

const NAME: &str = "name";

fn main() {}
