#![deny(deprecated)]

use asyncz::task;

#[task(cron = "0 0 9 ? * 2-6")]
async fn on_workdays() {}

#[task(cron = "0 0 9 * * 2-6")]
async fn on_workdays_too() {}

#[task(cron = "0 0 9 * * 1-5")]
async fn here_too() {}

#[task(cron = "0 9 * * 2-6")]
async fn in_a_crontab() {}

fn main() {}
