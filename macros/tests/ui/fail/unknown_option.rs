use asyncz::task;

#[task(crom = "0 9 * * *", timezone = "Europe/Berlin")]
async fn mistyped() {}

#[task(every = "1h", maximum_number_of_runs = 1)]
async fn invented() {}

fn main() {}
