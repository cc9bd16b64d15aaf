//! Where a task may be declared, and under what name.

use asyncz::task;

use super::added;
use asyncz as renamed;

mod deep {
    mod deeper {
        #[asyncz::task(every = "1h")]
        pub(in crate::macros::places) async fn hidden() {}
    }
    pub(super) use deeper::hidden;

    #[asyncz::task(every = "1h")]
    pub(crate) async fn shared() {}
}

/// It has a comment, a lint and a condition.
#[allow(clippy::unused_async)]
#[cfg(not(windows))]
#[task(every = "1h")]
#[cfg(not(windows))]
async fn commented() {}

#[task(every = "1h")]
#[cfg(windows)]
async fn elsewhere(_: NoExtractor) {}

#[task(every = "1h")]
async fn r#match() {}

#[task(crate = crate::macros::places::renamed, every = "1h")]
async fn by_another_name() {}

#[task(every = "1h", was = ["it::old::name", "it::older::name"])]
async fn moved() {}

macro_rules! declare {
    ($name:ident, $cron:literal, $options:expr) => {
        #[task(cron = $cron, max_instances = $options)]
        async fn $name() {}
    };
}

declare!(by_a_macro, "@hourly", 2);

#[tokio::test]
async fn a_task_is_declared_anywhere() {
    #[task(every = "1h")]
    async fn local() {}

    let tasks = [
        (deep::hidden::task(), "deep::deeper::hidden"),
        (deep::shared::task(), "deep::shared"),
        (commented::task(), "commented"),
        (r#match::task(), "match"),
        (by_another_name::task(), "by_another_name"),
        (moved::task(), "moved"),
        (by_a_macro::task(), "by_a_macro"),
        (local::task(), "local"),
    ];
    for (task, name) in tasks {
        assert_eq!(*added(task).await.unwrap().handler, format!("it::macros::places::{name}"));
    }
}
