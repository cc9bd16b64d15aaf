//! The same, with the line that cures it.

use forgotten as _;

fn main() {
    app::list();
}
