use std::rc::Rc;

use asyncz::task;

#[task(every = "1h")]
async fn holds_an_rc() {
    let count = Rc::new(1);
    std::future::ready(()).await;
    drop(count);
}

fn main() {}
