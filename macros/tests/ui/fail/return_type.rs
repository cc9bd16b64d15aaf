use asyncz::task;
use std::pin::Pin;

struct Unlike;

#[task(every = "1h")]
async fn a_number() -> u32 {
    1
}

#[task(every = "1h")]
fn no_error() -> Result<(), Unlike> {
    Ok(())
}

#[task(every = "1h")]
async fn an_option() -> Option<String> {
    None
}

type Later = Pin<Box<dyn Future<Output = ()> + Send>>;

#[task(every = "1h")]
fn a_future_by_another_name() -> Later {
    Box::pin(async {})
}

fn main() {}
