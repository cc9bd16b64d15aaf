//! What the macro adds is no trouble to code that lints as much as it can, nor to code with names of its own.

mod lints {
    //! A module without a word of `allow`.
    #![deny(
        warnings,
        clippy::pedantic,
        missing_debug_implementations,
        missing_docs,
        rust_2018_idioms,
        single_use_lifetimes,
        unreachable_pub,
        unused,
        unused_qualifications,
        unused_results
    )]

    use asyncz::{TaskContext, task};

    #[task(cron = "0 9 * * mon-fri", timezone = "Europe/Berlin")]
    pub(super) async fn with_argument(_: TaskContext) -> Result<(), String> {
        std::future::ready(Ok(())).await
    }

    #[deprecated]
    #[task(every = "1h")]
    pub(super) fn old() {}

    #[task(on = "shutdown")]
    fn unused() {}
}

mod names {
    //! Nothing here is called what it usually is.
    #![no_implicit_prelude]
    #![allow(dead_code, reason = "they are here to be in the way")]

    use ::asyncz::task;

    struct Option;
    struct Result;
    struct String;
    struct Task;
    mod asyncz {}
    mod core {}
    mod std {}

    #[allow(non_snake_case, reason = "it is to be in the way")]
    fn Ok() {}

    #[task(every = "1h", misfire_grace_time = none, next_run_time = none, jitter = "1s")]
    pub(super) async fn run() {}

    #[task(trigger = ::asyncz::IntervalTrigger::every(::core::time::Duration::from_secs(1)))]
    pub(super) fn task(_run: ::asyncz::TaskContext) {}
}

#[tokio::test]
async fn nothing_is_in_the_way() {
    for task in [lints::with_argument::task(), lints::old::task(), names::run::task(), names::task::task()] {
        super::added(task).await.unwrap();
    }
}
