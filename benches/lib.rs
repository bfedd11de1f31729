//! What the benches measure against, and the cases that they run.

pub mod bare;
pub mod endpoint;

use cutover_sim::case::Case;
use mimalloc::MiMalloc;
use std::path::Path;

/// The allocator of the command, so that what is measured here is what it does.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A shipped case.
///
/// # Panics
/// If it does not load: the shipped cases do.
pub fn shipped(name: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    Case::load(&path).expect("the shipped case loads")
}
