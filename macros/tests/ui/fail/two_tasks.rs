use asyncz::task;

#[task(every = "1h")]
#[task(cron = "@daily")]
async fn twice() {}

fn main() {
    let _ = twice::task();
}
