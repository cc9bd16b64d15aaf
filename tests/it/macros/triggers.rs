//! When a declared task runs.

use asyncz::{CronTrigger, IntervalTrigger, OrTrigger, Trigger, task};

use super::added;

#[task(cron = "0 9 * * mon-fri", timezone = "Europe/Berlin")]
async fn on_workdays() {}

#[task(cron = "  */5   * * * *  ", start_at = "2027-01-01T00:00:00", end_at = "2027-01-02T00:00:00Z")]
async fn in_a_while() {}

#[task(every = "2m")]
async fn often() {}

#[task(every = "1s500ms", start_at = "2027-01-01T00:00:00", timezone = "Asia/Tokyo")]
async fn oftener() {}

#[task(at = "2026-12-24T18:00:00+01:00")]
async fn once() {}

#[task(at = "2026-12-24T18:00:00", timezone = "America/New_York")]
async fn once_elsewhere() {}

#[task(on = "shutdown")]
async fn at_last() {}

#[task(trigger = OrTrigger::new([IntervalTrigger::every(std::time::Duration::from_secs(60)).into(), evenings()])?)]
async fn by_an_expression() {}

#[task(trigger = CronTrigger::new(&format!("0 {} * * *", 21))?)]
async fn by_a_fallible_expression() {}

#[task(trigger = CronTrigger::new("0 99 * * *")?)]
async fn by_a_wrong_expression() {}

fn evenings() -> Box<dyn Trigger> {
    CronTrigger::new("0 21 * * *").expect("it is right").into()
}

#[tokio::test]
async fn a_trigger_is_what_was_said() {
    let tasks = [
        (on_workdays::task(), "at 09:00 on Monday to Friday, Europe/Berlin"),
        (in_a_while::task(), "every 5 minutes"),
        (often::task(), "every 2 minutes"),
        (oftener::task(), "every 1 second 500 milliseconds"),
        (once::task(), "once, at 2026-12-24 17:00:00 UTC"),
        (once_elsewhere::task(), "once, at 2026-12-24 23:00:00 UTC"),
        (at_last::task(), "when the scheduler stops"),
        (by_an_expression::task(), "every"),
        (by_a_fallible_expression::task(), "at 21:00 every day"),
    ];
    for (task, words) in tasks {
        let said = added(task).await.unwrap().trigger.describe();
        assert!(said.contains(words), "{said:?} is not {words:?}");
    }
}

#[tokio::test]
async fn a_time_without_offset_is_read_in_the_zone() {
    let start = added(oftener::task()).await.unwrap().next_run_time;
    assert_eq!(start, Some("2026-12-31T15:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_trigger_that_fails_is_told_when_the_task_is_added() {
    let error = added(by_a_wrong_expression::task()).await.unwrap_err().to_string();
    assert!(error.contains("hour `99`: write 0 to 23") && error.contains("triggers.rs:"), "{error}");
}
