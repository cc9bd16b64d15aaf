//! The text forms of asyncz, read alike at compile time (by `asyncz-macros`) and at run time (by `asyncz`), so that
//! the two can't disagree.
