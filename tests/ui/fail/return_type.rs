use asyncz::task;

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

fn main() {}
