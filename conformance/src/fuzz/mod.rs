//! Draws conversations.
use crate::arguments::Fuzz;
use std::process::ExitCode;
pub struct Search;
impl Search {
    pub fn new(_: Fuzz) -> Search {
        Search
    }
    pub fn run(&self) -> ExitCode {
        ExitCode::SUCCESS
    }
}
