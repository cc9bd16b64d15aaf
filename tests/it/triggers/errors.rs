//! What is refused, and what the refusal says: the field, the value, and what to write instead.

use std::time::Duration;

use asyncz::{AndTrigger, CalendarIntervalTrigger, CronTrigger, IntervalTrigger, OrTrigger, Trigger};
use serde_json::json;

use super::{at, read};

fn expression(text: &str) -> String {
    CronTrigger::new(text).expect_err(text).to_string()
}

#[test]
fn expressions_quote_the_wrong_item() {
    for (text, message) in [
        ("0 25 * * *", "hour `25`: write 0 to 23"),
        ("0,,30 * * * *", "minute `0,,30`: an item is empty: write a value"),
        ("0 0 * * fri-mon", "weekday `fri-mon`: the range runs backwards: write `fri-sun,mon`"),
        ("0 22-2 * * *", "hour `22-2`: the range runs backwards: write `22-23,0-2`"),
        ("*/60 * * * *", "minute `*/60`: write a step of 1 to 59"),
        ("4-6/3 * * * *", "minute `4-6/3`: write a step of 1 to 2"),
        ("59/1 * * * *", "minute `59/1`: there is nothing to step over: write it without the step"),
        ("0 0 L-31 * *", "day `L-31`: write `L-1` to `L-30`"),
        ("0 0 32W * *", "day `32W`: write `1W` to `31W` or `LW`"),
        ("0 0 * * fri#6", "weekday `fri#6`: write `fri#1` to `fri#5`"),
        ("0 0 * * L", "weekday `L`: write which weekday is to be the last, such as `friL`"),
        ("0 0 * * 8#1", "weekday `8#1`: write 0 to 7 (0 and 7 are Sunday) or mon to sun"),
        ("", "the expression is empty: write five fields, such as `0 9 * * mon-fri`"),
        (
            "* * * *",
            "expression `* * * *` has 4 fields: write 5 (minute hour day month weekday), 6 (second first) \
             or 7 fields (year last)",
        ),
        (
            "@reboot",
            "expression `@reboot`: write one of @yearly @annually @monthly @weekly @daily @midnight @hourly, \
             or five fields",
        ),
    ] {
        assert_eq!(expression(text), message);
    }
}

#[test]
fn what_belongs_to_one_place_is_refused_in_others() {
    for text in [
        "0 0 mon-fri#2 * *",
        "0 0 * * mon-fri#2",
        "0 0 * * 1-5L",
        "0 0 15-20W * *",
        "0 0 L/2 * *",
        "0 0 L-3W * *",
        "0 L * * *",
        "0 0 5L * *",
        "0 0 * * 5W",
        "0 0 1st * *",
        "0 0 last * *",
        "0 0 * monday *",
        "é * * * *",
        "0 0 * * é#1",
        "0 0 éW * *",
        "- * * * *",
        "1- * * * *",
        "/ * * * *",
        "*/ * * * *",
        "+5 * * * *",
        "*/+5 * * * *",
    ] {
        expression(text);
    }
}

#[test]
fn forms_name_the_member_with_the_path_to_it() {
    let cron = |more: serde_json::Value| {
        let mut form = json!({"type": "cron", "expression": "* * * * *"});
        form.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        form
    };
    for (form, message) in [
        (json!({"type": "cron", "expression": "0 24 * * *"}), "expression: hour `24`: write 0 to 23"),
        (json!({"type": "cron", "fields": {"hour": 24}}), "fields: hour `24`: write 0 to 23"),
        (
            json!({"type": "cron", "fields": {"hour": [1]}}),
            "fields: hour `[1]`: write a text in quotes or a whole number",
        ),
        (
            json!({"type": "cron", "fields": {"hour": null}}),
            "fields: hour `null`: write a text in quotes or a whole number",
        ),
        (
            json!({"type": "cron", "fields": {"hours": 1}}),
            "fields: there is no field `hours`: write one of year, month, day, week, day_of_week, hour, minute, second",
        ),
        (json!({"type": "cron", "fields": 5}), "fields `5`: write them as {\"hour\": 9, \"minute\": 30}"),
        (
            json!({"type": "cron", "fields": {"hour": 1}, "day_match": "all"}),
            "day_match belongs to an expression: leave it out, as all fields must match",
        ),
        (cron(json!({"timezone": 5})), "timezone `5`: write a text in quotes"),
        (
            cron(json!({"timezone": "Berlin"})),
            "timezone: there is no zone `Berlin`: did you mean `Europe/Berlin`?",
        ),
        (cron(json!({"jitter": "5"})), "jitter `\"5\"`: write a number of seconds from 0 up"),
        (cron(json!({"jitter": 1e300})), "jitter `1e+300`: write a number of seconds from 0 up"),
        (cron(json!({"start_at": 5})), "start_at `5`: write a text in quotes"),
        (
            cron(json!({"start_at": "2026-01-01T24:00:00Z"})),
            "start_at: time `2026-01-01T24:00:00Z`: hour 24: write 0 to 23",
        ),
        (
            json!({"type": "interval", "minutes": 1.5}),
            "minutes `1.5`: write a whole number from 0 to 18446744073709551615",
        ),
        (
            json!({"type": "interval", "weeks": 999_999_999_999_999_u64}),
            "weeks `999999999999999` is too large: write less than 292 million years",
        ),
        (
            json!({"type": "or", "triggers": [{"type": "shutdown"}, {"type": "and", "triggers": [{"type": "interval"}]}]}),
            "triggers[1]: triggers[0]: the interval is zero: write 1 ms or more, in at least one of its parts",
        ),
        (json!({"type": "or", "triggers": {}}), "triggers `{}`: write a list of triggers"),
        (json!({"type": "shutdown", "when": "now"}), "unknown field `when`, there are no fields"),
    ] {
        assert_eq!(read(form).map(|trigger| trigger.describe()), Err(message.to_owned()));
    }
    let unknown = read(json!({"type": "cronn", "expression": "* * * * *"})).expect_err("unknown");
    assert!(unknown.contains("`cronn`") && unknown.contains("`cron`"), "{unknown}");
}

#[test]
fn builders_refuse_what_forms_refuse() {
    let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    let backwards =
        "end_at `2026-01-01T00:00:00Z` is before start_at `2026-01-02T00:00:00Z`: write a later one";
    let interval = IntervalTrigger::builder().hours(1).start_at(late).end_at(early).build();
    assert_eq!(interval.expect_err("backwards").to_string(), backwards);
    let cron = CronTrigger::fields().hour(1).start_at(late).end_at(early).build();
    assert_eq!(cron.expect_err("backwards").to_string(), backwards);
    assert!(CronTrigger::fields().build().expect_err("empty").to_string().starts_with("no field is given"));
    assert!(CronTrigger::fields().minute(-5).build().expect_err("negative").to_string().contains("`-5`"));
    assert!(IntervalTrigger::builder().build().is_err());
    assert!(IntervalTrigger::builder().weeks(u64::MAX).build().is_err());
    assert!(CalendarIntervalTrigger::builder().build().is_err());
    assert!(CalendarIntervalTrigger::builder().days(1).hour(24).build().is_err());
    assert!(AndTrigger::new(Vec::<Box<dyn Trigger>>::new()).is_err());
    assert!(OrTrigger::new(Vec::<CronTrigger>::new()).is_err());
}

#[test]
#[should_panic(expected = "the interval is zero")]
fn an_interval_without_length_panics() {
    let _ = IntervalTrigger::every(Duration::from_micros(999));
}
