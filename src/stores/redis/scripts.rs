//! The scripts that the server runs, each in one step.

use std::sync::LazyLock;

/// A script. What it is asked and answers stands in its first lines.
#[derive(Debug)]
pub(super) struct Script {
    whole: LazyLock<Whole>,
    /// It only reads, so that it can be asked again where its answer was lost.
    pub(super) reads: bool,
}

#[derive(Debug)]
struct Whole {
    text: String,
    hash: String,
}

impl Script {
    pub(super) fn text(&self) -> &str {
        &self.whole.text
    }

    /// What the server knows it by.
    pub(super) fn hash(&self) -> &str {
        &self.whole.hash
    }
}

impl Whole {
    fn new(body: &str) -> Self {
        let text = format!("{}{body}", include_str!("scripts/common.lua"));
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

macro_rules! scripts {
    ($($name:ident $file:literal $does:literal;)*) => {
        $(pub(super) static $name: Script = Script {
            whole: LazyLock::new(|| Whole::new(include_str!(concat!("scripts/", $file, ".lua")))),
            reads: matches!($does.as_bytes(), b"reads"),
        };)*
    };
}

scripts! {
    CANCEL "cancel" "writes";
    CLAIM "claim" "writes";
    DUE "due" "reads";
    FINISH "finish" "writes";
    LAPSED "lapsed" "writes";
    LOAD "load" "reads";
    LOOK "look" "writes";
    MARK "mark" "writes";
    NEXT_DUE "next_due" "reads";
    ORPHANS "orphans" "reads";
    PRUNE_LONG "prune_long" "writes";
    PRUNE_OLD "prune_old" "writes";
    PUT "put" "writes";
    READ "read" "reads";
    RENEW "renew" "writes";
    RUNS "runs" "reads";
    TIME "time" "reads";
}
