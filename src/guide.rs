#![doc = include_str!("guide/pages.md")]
#![doc = include_str!("../docs/guide/README.md")]

/// Pages as modules. Their files lead links to files; here they lead to modules and types, as of two definitions of a link
/// the first one holds. With fewer features the pages are empty: what they show would not compile.
macro_rules! pages {
    ($($name:ident $file:literal)*) => {$(
        #[cfg_attr(
            all(
                feature = "axum",
                feature = "config",
                feature = "encryption",
                feature = "file",
                feature = "lock",
                feature = "macros",
                feature = "mongodb",
                feature = "process",
                feature = "redis",
                feature = "sqlite",
                feature = "testing",
            ),
            doc = include_str!("guide/pages.md"),
            doc = include_str!("guide/names.md"),
            doc = include_str!(concat!("../docs/", $file)),
        )]
        pub mod $name {}
    )*};
}

pages! {
    getting_started "guide/getting-started.md"
    triggers "guide/triggers.md"
    tasks "guide/tasks.md"
    state "guide/state.md"
    stores "guide/stores.md"
    executors "guide/executors.md"
    events "guide/events.md"
    lifespan "guide/lifespan.md"
    configuration "guide/configuration.md"
    several_processes "guide/several-processes.md"
    deploys_and_crashes "guide/deploys-and-crashes.md"
    testing "guide/testing.md"
    custom_configs "guide/custom-configs.md"
    custom_stores "guide/custom-stores.md"
    custom_executors_and_triggers "guide/custom-executors-and-triggers.md"
    troubleshooting "guide/troubleshooting.md"
    from_asyncz "guide/from-asyncz.md"
    from_others "guide/from-others.md"
    guarantees "guarantees.md"
}
