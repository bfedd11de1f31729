//! The coverage matrix: how often each fault of a case struck each kind of node in each phase. What never happened has
//! its zero.

use crate::case::Case;
use crate::faults::reach::{self, Window};
use crate::faults::{Kind, NodeKind, Nodes};
use cutover_model::check::Subject;
use cutover_model::incident::RareBranch;
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use strum::IntoEnumIterator;

/// The word for a kind of fault or a rare branch.
fn word(fault: &str) -> &'static str {
    let kind = fault.parse::<Kind>().map(Into::into);
    let branch = || fault.parse::<RareBranch>().map(Into::into).ok();
    kind.ok().or_else(branch).expect("what is counted is a fault or a branch")
}

/// How often each fault of a case struck each kind of node in each phase, and in how many runs it could have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The phases' names: the time before the plan, the plan's phases, the time after it.
    phases: Vec<String>,
    rows: Vec<Row>,
    /// By fault and phase: how often, whomever it struck.
    strikes: BTreeMap<&'static str, Vec<u64>>,
}

/// One fault on one kind of node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    fault: &'static str,
    component: &'static str,
    /// When it may strike; at any time, where there is none.
    windows: Vec<Window>,
    /// By phase.
    times: Vec<u64>,
    /// By phase: in how many runs it could have struck.
    possible: Vec<u64>,
}

impl Row {
    fn new(fault: &'static str, component: Option<NodeKind>, windows: Vec<Window>, phases: usize) -> Row {
        let component = name_of(component);
        Row { fault, component, windows, times: vec![0; phases], possible: vec![0; phases] }
    }

    fn may_strike(&self, phase: &str, span: &PhaseSpan) -> bool {
        let there = match self.component {
            EVERYBODY => Some((span.begin, span.end)),
            component => {
                let mut ran = span.ran.iter().filter(|(kind, _)| name_of(Some(**kind)) == component);
                ran.next().map(|(_, window)| *window)
            }
        };
        let acknowledged = self.fault.parse::<RareBranch>().map_or(true, |branch| {
            branch == RareBranch::ShortFetch
                || span.acknowledged.iter().any(|kind| name_of(Some(*kind)) == self.component)
        });
        let always = [Window::ALWAYS];
        let windows = if self.windows.is_empty() { &always[..] } else { &self.windows };
        let mut windows =
            windows.iter().filter(|window| window.phase.as_ref().is_none_or(|named| named == phase));
        acknowledged && there.is_some_and(|ran| windows.any(|window| span.has_room(ran, window)))
    }
}

/// Whether there is room for a fault: five seconds, or the very moment that a case names.
fn overlap(ran: (Time, Time), window: &Window) -> bool {
    let (begin, end) = (ran.0.max(window.from), ran.1.min(window.until));
    end.since(begin) >= Span::secs(5) || (window.from == window.until && begin == end)
}

impl PhaseSpan {
    /// Whether a fault had room while what it strikes ran, and somebody whom it takes beside it.
    fn has_room(&self, ran: (Time, Time), window: &Window) -> bool {
        let together = |other: &(Time, Time)| (ran.0.max(other.0), ran.1.min(other.1));
        let mut beside = window.beside.iter().filter_map(|kind| self.ran.get(kind));
        match window.beside.is_empty() {
            true => overlap(ran, window),
            false => beside.any(|other| overlap(together(other), window)),
        }
    }
}

/// A phase of a run: how long it lasted, what ran in it, and who acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PhaseSpan {
    pub begin: Time,
    pub end: Time,
    /// By kind of node: from the first start, or the phase's beginning, to the last stop, or its end.
    pub ran: BTreeMap<NodeKind, (Time, Time)>,
    /// The kinds of broker that acknowledged a send or a commit.
    pub acknowledged: BTreeSet<NodeKind>,
}

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell<'a> {
    /// The phase.
    pub phase: &'a str,
    /// The kind of fault, the word of the case file, or the rare branch.
    pub fault: &'static str,
    /// The kind of node that it struck; `everybody` for a fault on any link.
    pub component: &'static str,
    /// How often.
    pub times: u64,
    /// In how many runs it could have struck: what it strikes ran in that phase, within the time that the case gives the fault.
    pub possible: u64,
}

impl Cell<'_> {
    /// Whether it could have struck and never did.
    pub fn is_missed(&self) -> bool {
        self.times == 0 && self.possible > 0
    }
}

/// The component of a fault that may strike anybody.
const EVERYBODY: &str = "everybody";

fn name_of(component: Option<NodeKind>) -> &'static str {
    component.map_or(EVERYBODY, Into::into)
}

/// Who sends what a rare branch is about.
fn takers(branch: RareBranch) -> &'static [NodeKind] {
    match branch {
        RareBranch::ShortFetch => &[NodeKind::Mirror, NodeKind::OldConsumer, NodeKind::NewConsumer],
        RareBranch::LateAcknowledgement | RareBranch::SpuriousTimeOut => {
            &[NodeKind::CorgiBroker, NodeKind::KafkaBroker]
        }
    }
}

impl Coverage {
    /// Nothing has struck yet in a run of a case: zeroes for all that may strike.
    pub(super) fn of(case: &Case, subject: &Subject, nodes: &Nodes, phases: usize) -> Coverage {
        let phases: Vec<String> = (0..phases as u32).map(|phase| subject.phase_key(phase)).collect();
        let row = |((fault, component), windows): ((Kind, Option<NodeKind>), Vec<Window>)| {
            Row::new(fault.into(), component, windows, phases.len())
        };
        let mut rows: Vec<Row> = reach::reach(case, nodes).into_iter().map(row).collect();
        if case.faults.rare.is_some() {
            let taken =
                RareBranch::iter().flat_map(|branch| takers(branch).iter().map(move |kind| (branch, *kind)));
            rows.extend(
                taken.map(|(branch, kind)| Row::new(branch.into(), Some(kind), Vec::new(), phases.len())),
            );
        }
        Coverage { rows, phases, strikes: BTreeMap::new() }
    }

    /// A run is over: note what could have struck in its phases, which are those that it went through.
    pub(super) fn conclude(&mut self, spans: &[Option<PhaseSpan>]) {
        for row in &mut self.rows {
            for (phase, span) in spans.iter().enumerate() {
                let possible = span.as_ref().is_some_and(|span| row.may_strike(&self.phases[phase], span));
                // What did strike could.
                row.possible[phase] = u64::from(possible || row.times[phase] > 0);
            }
        }
    }

    /// A rare branch was taken by a node.
    pub(super) fn take(&mut self, phase: usize, branch: RareBranch, taken_by: Option<NodeKind>) {
        self.count(branch.into(), phase);
        let row = self.row(branch.into(), name_of(taken_by));
        row.times[phase] += 1;
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
        self.count(word(fault), phase);
        for component in components {
            self.row(fault, name_of(component)).times[phase] += 1;
        }
    }

    fn count(&mut self, fault: &'static str, phase: usize) {
        self.strikes.entry(fault).or_insert_with(|| vec![0; self.phases.len()])[phase] += 1;
    }

    /// How often a fault struck in a phase, whomever it struck: one between two kinds of node once, though it counts for each.
    pub fn strikes(&self, fault: &str, phase: usize) -> u64 {
        self.strikes.get(fault).and_then(|strikes| strikes.get(phase)).copied().unwrap_or(0)
    }

    fn row(&mut self, fault: &str, component: &'static str) -> &mut Row {
        let known = self.rows.iter().position(|row| row.fault == fault && row.component == component);
        let place = known.unwrap_or_else(|| {
            let row = Row { component, ..Row::new(word(fault), None, Vec::new(), self.phases.len()) };
            self.rows.push(row);
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// Count everything that another one of the same case has counted.
    pub fn add(&mut self, other: &Coverage) {
        if self.phases.is_empty() {
            self.clone_from(other);
            return;
        }
        for (fault, theirs) in &other.strikes {
            let strikes = self.strikes.entry(fault).or_insert_with(|| vec![0; self.phases.len()]);
            strikes.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        for theirs in &other.rows {
            let row = self.row(theirs.fault, theirs.component);
            for phase in 0..theirs.times.len() {
                row.times[phase] += theirs.times[phase];
                row.possible[phase] += theirs.possible[phase];
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
                possible: row.possible[place],
            })
        })
    }

    /// All cells: what could have struck and never did, then the rest from the rarest to the most frequent, and last what no
    /// run could have seen; of those that struck as often, in the order of the phases.
    pub fn zeroes_first(&self) -> Vec<Cell<'_>> {
        let mut cells: Vec<Cell<'_>> = self.cells().collect();
        cells.sort_by_key(|cell| (cell.possible == 0, cell.times));
        cells
    }
}
