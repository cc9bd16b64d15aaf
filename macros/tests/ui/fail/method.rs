use asyncz::task;

struct Mailer;

impl Mailer {
    #[task(every = "1h")]
    async fn send(&self) {}
}

fn main() {}
