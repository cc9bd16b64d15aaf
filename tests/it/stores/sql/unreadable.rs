//! Records that can't be read.

use asyncz::stores::Query;
use asyncz::{RunFilter, RunStatus, Store};

use super::{Place, at_noon_in, every_ten_seconds, on_each_database, started};
use crate::scheduler::{history, seconds};

on_each_database! {
    a_record_that_cant_be_read_stops_nobody_is_told_of_once_and_kept
    a_record_that_was_mended_is_read_again
}

/// What can stand where an envelope should: of a newer program, of a trigger that nobody knows, of no program.
const FOREIGN: [(&str, &str); 3] = [
    (r#"{"v":2,"id":"broken"}"#, "a newer program wrote it"),
    (r#"{"v":1,"id":"broken","handler":"nothing"}"#, "missing field"),
    ("no JSON", "no envelope"),
];

async fn a_record_that_cant_be_read_stops_nobody_is_told_of_once_and_kept(place: Place) {
    for (envelope, why) in FOREIGN {
        let (clock, config) = at_noon_in(&place);
        let scheduler = config.scheduler();
        scheduler.start().await.unwrap();
        for id in ["broken", "whole"] {
            scheduler.add_task(every_ten_seconds(id).replace_existing(true)).await.unwrap();
        }
        scheduler.stop().await.unwrap();
        place
            .sql(&format!(
                "UPDATE {{}}tasks SET envelope = '{envelope}', edited = edited + 1 WHERE id = 'broken'"
            ))
            .await;
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
        let before = history(&scheduler, "whole").await.len();
        clock.advance(seconds(10)).await;
        assert_eq!(history(&scheduler, "whole").await.len(), before + 1);
        scheduler.stop().await.unwrap();
        assert_eq!(
            place.sql("SELECT COUNT(*) FROM {}tasks WHERE id = 'broken' AND deleted = 0").await,
            Some(1)
        );
        for table in ["tasks", "runs"] {
            place.sql(&format!("DELETE FROM {{}}{table}")).await;
        }
    }
}

async fn a_record_that_was_mended_is_read_again(place: Place) {
    let (_clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.stop().await.unwrap();
    place
        .sql(
            "UPDATE {}tasks SET envelope = '-' || envelope, edited = edited + 1"
                .replace(
                    "'-' || envelope",
                    if place.is_sqlite() || place.is_postgres() {
                        "'-' || envelope"
                    } else {
                        "CONCAT('-', envelope)"
                    },
                )
                .as_str(),
        )
        .await;
    let store = started(&place).await;
    assert_eq!(store.query(Query::All).await.unwrap().unreadable.len(), 1);

    place.sql("UPDATE {}tasks SET envelope = SUBSTR(envelope, 2), edited = edited + 1").await;

    let found = store.query(Query::All).await.unwrap();
    assert_eq!(found.tasks.len(), 1);
    assert!(store.runs(&RunFilter::new().status(RunStatus::Failed)).await.unwrap().is_empty());
}
