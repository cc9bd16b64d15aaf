//! What the compiler says to who writes `#[task]`.
//!
//! The `.stderr` files are those of the newest stable compiler; `TRYBUILD=overwrite cargo test -p asyncz-macros --test ui`
//! writes them anew. This is a test of the macros' package, which asks for two features of asyncz: with all of them every
//! driver would be built once more, and the types that a driver brings would stand in the compiler's hints.
//! What is right is in the `tests/it/macros` of asyncz: here it would be linked, which takes minutes.

#[test]
fn mistakes_are_told_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
