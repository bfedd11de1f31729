//! The coverage matrix: how often each fault of a case struck each kind of node in each phase. What never happened has
//! its zero.

use super::measures::phase_key;
use crate::case::Case;
use crate::faults::settings::Kind;
use crate::faults::{NodeKind, Nodes, reach};
use cutover_model::check::Subject;
use cutover_model::record::NodeId;
use serde::Serialize;

/// How often each fault of a case struck each kind of node in each phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The phases' names: the time before the plan, the plan's phases, the time after it.
    phases: Vec<String>,
    rows: Vec<Row>,
}

/// One fault on one kind of node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    fault: &'static str,
    component: &'static str,
    /// By phase.
    times: Vec<u64>,
}

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell<'a> {
    /// The phase.
    pub phase: &'a str,
    /// The kind of fault, the word of the case file.
    pub fault: &'static str,
    /// The kind of node that it struck; `everybody` for a fault on any link.
    pub component: &'static str,
    /// How often.
    pub times: u64,
}

fn name_of(component: Option<NodeKind>) -> &'static str {
    component.map_or("everybody", Into::into)
}

impl Coverage {
    /// Nothing has struck yet in a run of a case: zeroes for all that may strike.
    pub(super) fn of(case: &Case, subject: &Subject, nodes: &Nodes, phases: usize) -> Coverage {
        let phases: Vec<String> = (0..phases).map(|phase| phase_key(subject, phase)).collect();
        let row = |(fault, component): (Kind, Option<NodeKind>)| Row {
            fault: fault.into(),
            component: name_of(component),
            times: vec![0; phases.len()],
        };
        Coverage { rows: reach::reach(case, nodes).into_iter().map(row).collect(), phases }
    }

    /// A fault struck these nodes: it counts once for each kind of node among them.
    pub(super) fn strike(&mut self, phase: usize, fault: &str, struck: &[NodeId], kinds: &[NodeKind]) {
        let mut components: Vec<Option<NodeKind>> =
            struck.iter().map(|node| kinds.get(node.0 as usize).copied()).collect();
        components.sort_unstable();
        components.dedup();
        if components.is_empty() {
            components.push(None);
        }
        for component in components {
            *self.times(phase, fault, name_of(component)) += 1;
        }
    }

    fn times(&mut self, phase: usize, fault: &str, component: &'static str) -> &mut u64 {
        let known = self.rows.iter().position(|row| row.fault == fault && row.component == component);
        let place = known.unwrap_or_else(|| {
            let kind = fault.parse::<Kind>().expect("a fault's kind is a word of the case file");
            self.rows.push(Row { fault: kind.into(), component, times: vec![0; self.phases.len()] });
            self.rows.len() - 1
        });
        &mut self.rows[place].times[phase]
    }

    /// Count everything that another one of the same case has counted.
    pub fn add(&mut self, other: &Coverage) {
        if self.phases.is_empty() {
            self.clone_from(other);
            return;
        }
        for row in &other.rows {
            for (phase, times) in row.times.iter().enumerate() {
                *self.times(phase, row.fault, row.component) += times;
            }
        }
    }

    /// The phases' names, in their order.
    pub fn phases(&self) -> &[String] {
        &self.phases
    }

    /// All cells in the order of the phases.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.phases.iter().enumerate().flat_map(|(place, phase)| {
            self.rows.iter().map(move |row| Cell {
                phase,
                fault: row.fault,
                component: row.component,
                times: row.times[place],
            })
        })
    }

    /// All cells: what never struck, then the rest from the rarest to the most frequent; of those that struck as often,
    /// in the order of the phases.
    pub fn zeroes_first(&self) -> Vec<Cell<'_>> {
        let mut cells: Vec<Cell<'_>> = self.cells().collect();
        cells.sort_by_key(|cell| cell.times);
        cells
    }
}
