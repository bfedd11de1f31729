//! Runs: one seed of a case, its twin without the migration, and many seeds.

pub mod host;
pub mod ledger;
pub mod sweep;
