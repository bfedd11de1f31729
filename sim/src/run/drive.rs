//! One run from its first event to its verdict: the plan and the faults, the healing, the drain.

use super::host;
use super::ledger::Ledger;
use crate::build::{self, Setup};
use crate::case::Case;
use crate::faults::{Fault, When};
use crate::monitor::Monitor;
use crate::results::RunResult;
use crate::world::{Dispatched, World};
use cutover_model::check::{Suite, Verdict};
use cutover_model::history::{EndReason, Entry, Event};
use cutover_model::machine::Machine;
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};

/// How long a drained run goes on: what comes late, comes now.
const LINGER: Span = Span::secs(10);

/// What a run keeps beside its judgements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The history.
    pub history: bool,
    /// Every dispatched input.
    pub messages: bool,
}

/// Run one seed of a case to its end, under these faults; without the monitor, its measures and its coverage stay empty. Returns
/// the faults that struck too, with the moments at which they did.
///
/// # Panics
/// If a machine or the world breaks one of its invariants; `host` makes a result of it.
pub async fn drive(
    case: &Case,
    seed: u64,
    faults: &[Fault],
    keep: Keep,
    monitored: bool,
) -> (RunResult, Vec<Fault>) {
    let Setup { mut world, subject, ledger } = build::build(case, seed, faults);
    if keep.messages {
        world.keep_trace();
    }
    let monitor = monitored.then(|| Monitor::new(case, &subject));
    let suite = Suite::new(subject);
    let mut run = Run {
        world,
        ledger,
        suite,
        monitor,
        keep,
        history: Vec::new(),
        messages: Vec::new(),
        replayed_at: Time::ZERO,
    };
    let reason = run.run_to_its_end(case);
    // A task that is hosted beside the run comes to its turn when this one has ended or waits, and this one never
    // waits: the first moment that such a task can see is the last of the run.
    host::pass(run.world.now().since(Time::ZERO));
    let struck = run.struck(faults);
    let mut result = run.finish(case, seed, reason);
    result.listed_struck = (0..case.faults.list.len())
        .map(|place| struck.iter().any(|fault| fault.listed == Some(place)))
        .collect();
    (result, struck)
}

struct Run<M> {
    world: World<M>,
    ledger: Ledger,
    suite: Suite,
    monitor: Option<Monitor>,
    keep: Keep,
    history: Vec<Entry>,
    messages: Vec<Dispatched>,
    /// When the last entry of a replay was seen.
    replayed_at: Time,
}

impl<M: Machine> Run<M> {
    fn run_to_its_end(&mut self, case: &Case) -> EndReason {
        let heal_at = Time::ZERO + case.duration;
        let (mut healed, mut give_up_at, mut end_at) = (false, Time::NEVER, Time::NEVER);
        self.observe();
        loop {
            let limit = if healed { end_at.min(give_up_at) } else { heal_at };
            if !self.world.step_before(limit) {
                self.world.pass_to(limit);
                if healed {
                    return if end_at <= give_up_at { EndReason::Drained } else { EndReason::TimeBudget };
                }
                self.world.heal();
                (healed, give_up_at) = (true, heal_at + case.objectives.drain);
            }
            if self.observe() && healed {
                end_at = if self.ledger.is_drained() {
                    // A replay that was asked for goes on although everything was processed once.
                    end_at.min(self.world.now() + LINGER).max(self.replayed_at + LINGER)
                } else {
                    Time::NEVER
                };
            }
            if self.world.events() > case.budget {
                return EndReason::StepBudget;
            }
        }
    }

    /// Show the new entries of the history to the checkers. Returns whether there were any.
    #[inline(always)]
    fn observe(&mut self) -> bool {
        if self.keep.messages {
            self.messages.append(&mut self.world.take_trace());
        }
        let any = !self.world.history().is_empty();
        if any {
            self.observe_new();
        }
        any
    }

    fn observe_new(&mut self) {
        for entry in self.world.history() {
            self.ledger.observe(entry);
            if self.ledger.is_of_a_replay(entry) {
                self.replayed_at = entry.at;
            }
            self.suite.observe(entry);
            if let Some(monitor) = &mut self.monitor {
                monitor.observe(entry);
            }
        }
        if self.keep.history {
            self.history.extend_from_slice(self.world.history());
        }
        self.world.forget_history();
        if self.ledger.workload_has_just_ended() {
            self.world.write(NodeId(0), Event::WorkloadEnded);
            self.observe();
        }
    }

    /// The faults that struck, each at the moment when it did, and without asking whether it may.
    fn struck(&self, faults: &[Fault]) -> Vec<Fault> {
        let begun = self.world.faults_begun().iter();
        let struck = begun.map(|(number, at)| Fault {
            when: When::At(*at),
            tolerance: None,
            ..faults[*number as usize].clone()
        });
        struck.collect()
    }

    fn finish(mut self, case: &Case, seed: u64, because: EndReason) -> RunResult {
        self.world.write(NodeId(0), Event::Ended { because });
        self.observe();
        let judgements = self.suite.judge();
        let (measures, coverage) = self.monitor.map(Monitor::finish).unwrap_or_default();
        RunResult {
            case: case.name.clone(),
            seed,
            verdict: judgements.iter().map(|judgement| judgement.verdict).max().unwrap_or(Verdict::Unknown),
            digest: format!("{:016x}", self.world.digest()),
            simulated_ms: self.world.now().as_millis(),
            records: self.ledger.invoked(),
            events: self.world.events(),
            faults: self.world.faults_begun().len() as u64,
            judgements,
            coverage,
            listed_struck: Vec::new(),
            measures,
            failure: (because == EndReason::StepBudget)
                .then(|| format!("the step budget of {} events ran out", case.budget)),
            history: self.history,
            messages: self.messages,
        }
    }
}
