use asyncz::task;

#[task(every = "1h")]
async fn borrows(_: &asyncz::TaskContext, _: &mut u8) {}

fn main() {}
