//! `cargo bench --bench next`: nanoseconds per next occurrence, ours beside `cron` and `croner`, in one run.
//!
//! Each figure is the median of nine rounds of a chain of occurrences from 2026-01-01 on. Machines differ, and so do
//! hours on one machine: what the table says is the ratios within it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use asyncz::chrono_tz::Tz;
use asyncz::{AndTrigger, CronTrigger, Trigger};
use chrono::{DateTime, TimeZone, Utc};

const ROUNDS: usize = 9;

/// What it is called, our expression, and that of `cron`, which has no five fields and no `L`.
const CASES: [(&str, &str, Option<&str>); 5] = [
    ("every second", "* * * * * *", Some("* * * * * *")),
    ("every 5 minutes", "*/5 * * * *", Some("0 */5 * * * *")),
    ("weekdays 09:30", "30 9 * * mon-fri", Some("0 30 9 * * Mon-Fri")),
    ("29 February", "0 0 29 2 *", Some("0 0 0 29 2 *")),
    ("last day", "0 0 L * *", None),
];

fn main() {
    println!("{:<18}{:>10}{:>10}{:>10}   ns per next occurrence", "", "asyncz", "cron", "croner");
    for zone in [Tz::UTC, Tz::America__New_York] {
        for (name, ours, crons) in CASES {
            let start: DateTime<Utc> =
                zone.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap().with_timezone(&Utc);

            let trigger: Box<dyn Trigger> = CronTrigger::new(ours).expect("valid").timezone(zone).into();
            let asyncz = chain(20_000, start, |after| trigger.next_after(after));

            let schedule = crons.map(|text| cron::Schedule::from_str(text).expect("valid"));
            let cron = schedule.map(|schedule| {
                chain(2_000, start, |after| {
                    schedule.after(&after.with_timezone(&zone)).next().map(|at| at.with_timezone(&Utc))
                })
            });

            let pattern = croner::parser::CronParser::builder()
                .seconds(croner::parser::Seconds::Optional)
                .build()
                .parse(ours)
                .expect("valid");
            let croner = chain(1_000, start, |after| {
                let next = pattern.find_next_occurrence(&after.with_timezone(&zone), false);
                next.ok().map(|at| at.with_timezone(&Utc))
            });

            let cron = cron.map_or("–".to_owned(), |ns| format!("{ns:.0}"));
            println!("{:<18}{asyncz:>10.0}{cron:>10}{croner:>10.0}   {zone}", name);
        }
    }

    let text = "30 9 * * mon-fri";
    let asyncz = per_call(20_000, || drop(black_box(CronTrigger::new(black_box(text)))));
    let cron = per_call(2_000, || drop(black_box(cron::Schedule::from_str(black_box("0 30 9 * * Mon-Fri")))));
    let croner = per_call(500, || drop(black_box(croner::Cron::from_str(black_box(text)))));
    println!("{:<18}{asyncz:>10.0}{cron:>10.0}{croner:>10.0}   {text}", "reading");

    let never = CronTrigger::new("0 0 30 2 *").expect("valid");
    let never = per_call(1_000, || _ = black_box(never.next_after(black_box(DateTime::UNIX_EPOCH))));
    println!("{:<18}{never:>10.0}{:>10}{:>10}   30 February", "never", "", "");

    let members = ["*/2 * * * *", "1-59/2 * * * *"].map(|text| CronTrigger::new(text).expect("valid"));
    let never = AndTrigger::new(members).expect("members");
    let never = per_call(5, || _ = black_box(never.next_after(black_box(DateTime::UNIX_EPOCH))));
    println!("{:<18}{never:>10.0}{:>10}{:>10}   even and odd minutes: 10,000 leaps", "never", "", "");
}

/// The nanoseconds of one step, each step beginning where the last one ended; from the start again at the end.
fn chain(steps: u32, start: DateTime<Utc>, next: impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>) -> f64 {
    let mut at = start;
    per_call(steps, || at = next(black_box(at)).unwrap_or(start))
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn per_call(calls: u32, mut call: impl FnMut()) -> f64 {
    let mut rounds = [0.0; ROUNDS];
    for round in &mut rounds {
        let began = Instant::now();
        for _ in 0..calls {
            call();
        }
        *round = began.elapsed().as_nanos() as f64 / f64::from(calls);
    }
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
