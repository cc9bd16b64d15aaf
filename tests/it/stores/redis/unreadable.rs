//! Records that can't be read.

use asyncz::stores::Query;
use asyncz::{Store, redis};

use super::{Place, at_noon_in, every_ten_seconds, started};
use crate::scheduler::{history, seconds};

/// What can stand where an envelope should: of a newer program, of a trigger that nobody knows, of no program.
const FOREIGN: [(&str, &str); 3] = [
    (r#"{"v":2,"id":"broken"}"#, "a newer program wrote it"),
    (r#"{"v":1,"id":"broken","handler":"nothing"}"#, "missing field"),
    ("no JSON", "no envelope"),
];

/// Writes another envelope of a task, as another edit.
async fn write_envelope(place: &Place, id: &str, edited: u64, change: impl Fn(&str) -> String) {
    let field = |name: &str, field: &str| {
        let mut get = redis::cmd("HGET");
        get.arg(place.key(name)).arg(field);
        get
    };
    let key: String = place.ask(&field(":ids", id)).await;
    let task: String = place.ask(&field("", &key)).await;
    let definition: String = place.ask(&field(":definitions", &key)).await;
    let envelope = definition.split_once('{').map_or(&*definition, |(_, envelope)| envelope);
    let changed = change(&format!("{{{envelope}"));
    let definition = format!("{edited:016x} {} {id}{changed}", id.len());
    let task = format!("{}{edited:016x}{}", &task[..6], &task[22..]);
    for (name, value) in [("", task), (":definitions", definition)] {
        place.ask::<()>(redis::cmd("HSET").arg(place.key(name)).arg(&key).arg(value)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cant_be_read_stops_nobody_is_told_of_once_and_kept() {
    for (envelope, why) in FOREIGN {
        let place = Place::server();
        let (clock, config) = at_noon_in(&place);
        let scheduler = config.scheduler();
        scheduler.start().await.unwrap();
        for id in ["broken", "whole"] {
            scheduler.add_task(every_ten_seconds(id)).await.unwrap();
        }
        scheduler.stop().await.unwrap();
        write_envelope(&place, "broken", 7, |_| envelope.to_owned()).await;
        let store = started(&place).await;

        let found = store.query(Query::All).await.unwrap();

        assert_eq!(found.tasks.len(), 1);
        assert_eq!(found.unreadable.len(), 1);
        assert_eq!(found.unreadable[0].id, "broken");
        assert!(found.unreadable[0].reason.contains(why), "{}", found.unreadable[0].reason);
        assert!(store.query(Query::All).await.unwrap().unreadable.is_empty());

        let (_, config) = at_noon_in(&place);
        let scheduler = config.clock(clock.clone()).scheduler();
        scheduler.start().await.unwrap();
        scheduler.add_task(every_ten_seconds("whole").replace_existing(true)).await.unwrap();
        clock.advance(seconds(10)).await;
        assert_eq!(history(&scheduler, "whole").await.len(), 1);
        scheduler.stop().await.unwrap();
        assert_eq!(store.count().await.unwrap(), 2, "it is kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_cut_off_stops_nobody() {
    let place = Place::server();
    let (_clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    for id in ["broken", "whole"] {
        scheduler.add_task(every_ten_seconds(id)).await.unwrap();
    }
    scheduler.stop().await.unwrap();
    let key: String = place.ask(redis::cmd("HGET").arg(place.key(":ids")).arg("broken")).await;
    for cut_off in ["", "000001", "0000010000000000000007"] {
        place.ask::<()>(redis::cmd("HSET").arg(place.key("")).arg(&key).arg(cut_off)).await;
        let store = started(&place).await;

        let found = store.query(Query::All).await.unwrap();

        assert_eq!(found.tasks.len(), 1, "{cut_off}");
        assert_eq!(found.unreadable.len(), 1, "{cut_off}");
        assert_eq!(found.unreadable[0].id, "broken");
        assert!(store.query(Query::All).await.unwrap().unreadable.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_mended_is_read_again() {
    let place = Place::server();
    let (_clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.stop().await.unwrap();
    write_envelope(&place, "t", 7, |envelope| envelope.replacen("\"v\":1", "\"v\":9", 1)).await;
    let store = started(&place).await;
    assert_eq!(store.query(Query::All).await.unwrap().unreadable.len(), 1);

    write_envelope(&place, "t", 8, |envelope| envelope.replacen("\"v\":9", "\"v\":1", 1)).await;

    assert_eq!(store.query(Query::All).await.unwrap().tasks.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cant_be_read_hides_no_others() {
    let place = Place::server();
    let (_clock, scheduler) = super::with_a_history(&place).await;
    let runs = scheduler.runs(asyncz::RunFilter::new()).await.unwrap();
    place
        .ask::<()>(redis::cmd("HSET").arg(place.key(":runs")).arg(runs[0].id.to_string()).arg("s no entry"))
        .await;

    for filter in [asyncz::RunFilter::new(), asyncz::RunFilter::new().task("t")] {
        assert_eq!(scheduler.runs(filter).await.unwrap(), runs[1..]);
    }
    scheduler.stop().await.unwrap();
}
