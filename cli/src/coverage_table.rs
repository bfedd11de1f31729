//! What a sweep did not try: the faults that struck in each phase, zeroes first, and the conditions that it reached.

use crate::output::counted;
use crate::table::{dense, lines};
use cutover_sim::case::Case;
use cutover_sim::faults::settings::Listed;
use cutover_sim::monitor::{Cell, Coverage};
use cutover_sim::results::SweepResult;
use std::collections::BTreeMap;

/// The width of running text.
const WIDTH: usize = 100;

/// How often each fault struck in each phase, those with the most zeroes first, and what never struck; with `verbose` a
/// line for each kind of node that a fault may strike.
pub fn of_faults(coverage: &Coverage, verbose: bool) -> String {
    // None: no run could have seen it.
    let mut rows: BTreeMap<String, Vec<Option<u64>>> = BTreeMap::new();
    for cell in coverage.cells() {
        let name = if verbose { named(&cell) } else { cell.fault.to_owned() };
        let row = rows.entry(name).or_insert_with(|| vec![None; coverage.phases().len()]);
        let phase = coverage.phases().iter().position(|phase| phase == cell.phase).unwrap_or(0);
        if cell.possible > 0 {
            // A fault on links that counts for both its sides struck once.
            row[phase] = Some(if verbose { cell.times } else { coverage.strikes(cell.fault, phase) });
        }
    }
    if rows.is_empty() {
        return "no fault struck\n".to_owned();
    }
    let mut rows: Vec<(String, Vec<Option<u64>>)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| {
        let zeroes = row.iter().filter(|times| **times == Some(0)).count();
        (std::cmp::Reverse(zeroes), row.iter().flatten().sum::<u64>())
    });
    let mut header = vec!["faults that struck"];
    header.extend(coverage.phases().iter().map(String::as_str));
    let mut table = dense(&header);
    for (name, row) in rows {
        let told = row.iter().map(|times| times.map_or("-".to_owned(), |times| times.to_string()));
        table.add_row(std::iter::once(name).chain(told));
    }
    let mut text = lines(&table) + "\n";
    if !verbose {
        text += &never_struck(coverage);
    }
    text
}

fn named(cell: &Cell<'_>) -> String {
    format!("{} {}", cell.fault, cell.component)
}

/// What no phase saw, and how much there is that some phase did not.
fn never_struck(coverage: &Coverage) -> String {
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for cell in coverage.cells().filter(|cell| cell.possible > 0) {
        *times.entry(named(&cell)).or_default() += cell.times;
    }
    let never: Vec<&str> =
        times.iter().filter(|(_, times)| **times == 0).map(|(name, _)| name.as_str()).collect();
    let cells = counted(coverage.cells().filter(|cell| cell.possible > 0).count() as u64, "cell");
    let zeroes = coverage.cells().filter(Cell::is_missed).count();
    let are = if zeroes == 1 { "is" } else { "are" };
    let mut listed = String::new();
    if !never.is_empty() {
        listed = format!("never struck ({}): {}; ", never.len(), never.join(", "));
    }
    wrapped(&format!(
        "{listed}of {cells} that a run could have seen, phase by fault by kind of node, {zeroes} {are} zero (--verbose \
         shows them; - is what no run could have seen; most zeroes first)"
    ))
}

/// The listed faults that struck in no seed: whoever wrote them wanted them to. Those that are beyond what the systems tolerate
/// are asked for only where the case goes beyond.
pub fn of_listed_faults(result: &SweepResult, case: &Case) -> String {
    let listed = case.faults.list.iter().zip(&result.listed_struck).zip(1..);
    let asked_for = |fault: &Listed| case.is_beyond_tolerance() || !fault.beyond;
    let missed =
        listed.filter(|((fault, seeds), _)| **seeds == 0 && asked_for(fault)).map(|((fault, _), place)| {
            let target = String::from(fault.target.clone());
            format!("listed fault {place} ({} {target}) struck in no seed\n", fault.kind)
        });
    missed.collect()
}

/// What no seed reached; with `verbose` all that seeds should reach, zeroes first.
pub fn of_conditions(result: &SweepResult, verbose: bool) -> String {
    let conditions = result.conditions_zeroes_first();
    if !verbose {
        let missed = |(name, seeds): &&(&str, u64)| *seeds == 0 && !result.impossible.contains(*name);
        let missed: Vec<&str> = conditions.iter().filter(missed).map(|(name, _)| *name).collect();
        let listed = format!("no seed reached ({}): {}", missed.len(), missed.join(", "));
        return if missed.is_empty() { String::new() } else { wrapped(&listed) + "\n" };
    }
    let mut table = dense(&["condition", "seeds that reached it"]);
    for (name, seeds) in conditions {
        let seeds = if result.impossible.contains(name) { "-".to_owned() } else { seeds.to_string() };
        table.add_row([name.to_owned(), seeds]);
    }
    lines(&table) + "\n"
}

fn wrapped(text: &str) -> String {
    // A name is never broken at its hyphens: somebody may look for it.
    let options = textwrap::Options::new(WIDTH).word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(text, options.subsequent_indent("  ")) + "\n"
}
