//! What a handler writes and that it is completed, in one transaction.

use std::sync::Arc;

use asyncz::sqlx::{self, Connection, Executor};
use asyncz::{RunStatus, Scheduler, Task, TaskContext};

use super::{Place, on_each_database};
use crate::scheduler::{Notes, at_noon, history, seconds};

on_each_database! {
    what_a_handler_writes_and_its_completion_are_committed_together
    a_handler_that_rolls_back_has_done_nothing_and_can_fail
    a_run_that_was_taken_over_cant_be_completed
    a_completed_run_whose_scheduler_dies_is_not_run_again
}

/// From one payment to the next, in seconds: each lease of that time is renewed in the database.
const EVERY: u64 = 200;

/// How the handler ends.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Commits,
    RollsBack,
    CommitsAndFails,
    /// It waits until a second scheduler has taken it over.
    WaitsFirst,
    CommitsAndStays,
}

/// Counts a payment and completes the run, in one transaction.
async fn pay(place: &Place, ctx: &TaskContext, ending: Ending) -> Result<(), String> {
    macro_rules! within {
        ($connection:ty) => {{
            let mut connection = <$connection>::connect(&place.url).await.unwrap();
            let mut transaction = connection.begin().await.unwrap();
            let pay = format!("UPDATE {}accounts SET paid = paid + 1", place.prefix);
            transaction.execute(&*pay).await.unwrap();
            ctx.complete_in(&mut transaction).await.map_err(|error| error.to_string())?;
            if ending == Ending::RollsBack {
                transaction.rollback().await.unwrap();
                return Err("no money".to_owned());
            }
            transaction.commit().await.unwrap();
        }};
    }
    if place.is_sqlite() {
        within!(sqlx::SqliteConnection);
    } else if place.is_postgres() {
        within!(sqlx::PgConnection);
    } else {
        within!(sqlx::MySqlConnection);
    }
    Ok(())
}

/// A scheduler whose task pays again and again; what it hears is noted.
async fn paying(
    place: &Arc<Place>,
    clock: &asyncz::testing::TestClock,
    ending: Ending,
    notes: &Notes,
) -> Scheduler {
    let store = place.store().lease(seconds(30));
    let (place, heard) = (place.clone(), notes.clone());
    let handler = move |ctx: TaskContext| {
        let (place, notes) = (place.clone(), heard.clone());
        async move {
            if ending == Ending::WaitsFirst {
                ctx.sleep(seconds(120)).await;
            }
            let paid = pay(&place, &ctx, ending).await;
            notes.add(format!("{} {paid:?}", ctx.attempt()));
            if ending == Ending::CommitsAndStays {
                ctx.sleep(seconds(100_000)).await;
            }
            match ending {
                Ending::CommitsAndFails => Err("afterwards".to_owned()),
                _ => paid,
            }
        }
    };
    let (_, config) = at_noon();
    let task = Task::from_fn("pay", handler).id("pay").every(seconds(EVERY)).replace_existing(true);
    let scheduler = config.clock(clock.clone()).store("default", store).task(task).scheduler();
    scheduler.start().await.unwrap();
    scheduler
}

async fn with_accounts(place: Place) -> Arc<Place> {
    place.sql("CREATE TABLE {}accounts (paid BIGINT NOT NULL)").await;
    place.sql("INSERT INTO {}accounts (paid) VALUES (0)").await;
    Arc::new(place)
}

async fn paid(place: &Place) -> Option<i64> {
    place.sql("SELECT paid FROM {}accounts").await
}

async fn what_a_handler_writes_and_its_completion_are_committed_together(place: Place) {
    let place = with_accounts(place).await;
    let ((clock, _), notes) = (at_noon(), Notes::default());
    let scheduler = paying(&place, &clock, Ending::Commits, &notes).await;

    clock.advance(seconds(2 * EVERY)).await;

    assert_eq!(paid(&place).await, Some(2));
    let entries = history(&scheduler, "pay").await;
    assert_eq!(entries, [(RunStatus::Succeeded, 200), (RunStatus::Succeeded, 400)]);
    scheduler.stop().await.unwrap();

    // An error afterwards changes nothing.
    let failing = paying(&place, &clock, Ending::CommitsAndFails, &notes).await;
    clock.advance(seconds(EVERY)).await;
    assert_eq!(paid(&place).await, Some(3));
    assert_eq!(history(&failing, "pay").await.last(), Some(&(RunStatus::Succeeded, 600)));
    assert_eq!(place.sql("SELECT running FROM {}tasks").await, Some(0));
    failing.stop().await.unwrap();
}

async fn a_handler_that_rolls_back_has_done_nothing_and_can_fail(place: Place) {
    let place = with_accounts(place).await;
    let ((clock, _), notes) = (at_noon(), Notes::default());
    let scheduler = paying(&place, &clock, Ending::RollsBack, &notes).await;

    clock.advance(seconds(EVERY)).await;

    assert_eq!(paid(&place).await, Some(0));
    assert_eq!(history(&scheduler, "pay").await, [(RunStatus::Failed, 200)]);
    scheduler.stop().await.unwrap();
}

async fn a_run_that_was_taken_over_cant_be_completed(place: Place) {
    let place = with_accounts(place).await;
    let ((clock, _), notes) = (at_noon(), Notes::default());
    let scheduler = paying(&place, &clock, Ending::WaitsFirst, &notes).await;
    clock.advance(seconds(EVERY)).await;

    place.sql("UPDATE {}runs SET node = '00000000000000ff', status = 'lost', place = NULL").await;
    clock.advance(seconds(120)).await;

    assert_eq!(paid(&place).await, Some(0));
    let notes = notes.all();
    assert!(notes.len() == 1 && notes[0].contains("was taken over by another scheduler"), "{notes:?}");
    scheduler.shutdown(asyncz::Shutdown::Now).await.unwrap();
}

async fn a_completed_run_whose_scheduler_dies_is_not_run_again(place: Place) {
    let place = with_accounts(place).await;
    let ((clock, _), notes) = (at_noon(), Notes::default());
    let dying = paying(&place, &clock, Ending::CommitsAndStays, &notes).await;
    clock.advance(seconds(EVERY)).await;
    assert_eq!(paid(&place).await, Some(1));

    // As if it had been killed: it is not heard of any more.
    place.sql("UPDATE {}nodes SET id = '00000000000000ff', leased_until = 0").await;
    place.sql("UPDATE {}runs SET node = '00000000000000ff'").await;
    let other = paying(&place, &clock, Ending::Commits, &notes).await;
    clock.advance(seconds(60)).await;

    assert_eq!(paid(&place).await, Some(1));
    assert_eq!(history(&other, "pay").await, [(RunStatus::Succeeded, 200)]);
    assert_eq!(place.sql("SELECT running FROM {}tasks").await, Some(0));
    other.stop().await.unwrap();
    dying.shutdown(asyncz::Shutdown::Now).await.unwrap();
}
