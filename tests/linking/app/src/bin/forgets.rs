//! Depends on `forgotten` and does not name it.

fn main() {
    app::list();
}
