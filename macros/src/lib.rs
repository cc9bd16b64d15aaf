//! The `#[task]` attribute of asyncz; its documentation stands in that crate.
