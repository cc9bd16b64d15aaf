use asyncz::{Args, TaskContext, task};

struct Mailer;

#[task(every = "1h")]
async fn plain(_: TaskContext, _: Mailer, _: u32) {}

#[task(every = "1h")]
fn blocking(_: Option<Mailer>) {}

#[task(every = "1h")]
async fn not_deserialised(_: Args<Mailer>) {}

fn main() {}
