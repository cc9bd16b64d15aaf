use asyncz::task;

#[task(every = "1h")]
struct Mailer;

#[task(every = "1h")]
const SEND: fn() = || {};

fn main() {}
