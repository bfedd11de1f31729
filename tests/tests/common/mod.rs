//! What the tests share: the shipped cases.

use cutover_sim::case::Case;
use std::path::Path;

/// The shipped case of that name.
pub fn shipped(name: &str) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    Case::load(&folder.join(format!("{name}.toml"))).unwrap_or_else(|error| panic!("{error}"))
}
