use asyncz::task;

#[task(cron = "0 25 * * *", timezone = "Europe/Berln", max_instances = 0, retrys = 3, id =)]
async fn everything<T>(_: &str, _: impl Send) {}

fn main() {
    // It is there, so that nothing more is told than what is wrong.
    let _ = everything::task();
}
