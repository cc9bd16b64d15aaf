use asyncz::{Args, task};

#[task]
async fn of_types<T>(_: Args<T>) {}

#[task]
async fn of_lifetimes<'a>(_: Args<&'a str>) {}

#[task]
async fn hidden(_: impl Send) {}

fn main() {}
