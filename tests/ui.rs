//! What the compiler says to who writes `#[task]`.
//!
//! The `.stderr` files are those of the newest stable compiler; `TRYBUILD=overwrite cargo test --test ui` writes them anew.
//! What is right is in `tests/it/macros`: here it would be linked, which takes minutes.

#[test]
fn mistakes_are_told_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
