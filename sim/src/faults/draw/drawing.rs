//! Drawing from a distribution: faults spread over the run, and faults aimed at the phases and steps of the plan.

use super::super::choose::{pick, shuffled, weighted};
use super::super::settings::{Distribution, Drawn};
use super::super::{Domains, Fault, Figures, Link, Nodes, Side, Tolerance, When};
use super::{Taken, each, lacking};
use crate::case::Case;
use crate::random::Stream;
use cutover_model::units::{Span, Time};
use std::ops::Range;

/// How often a draw is tried again before the window is searched from its start.
const TRIES: u32 = 200;
/// How late after a step a fault still strikes at its edge.
const EDGE: Span = Span::secs(2);
/// How long a phase that begins as soon as it may is taken to last, for the choice of what to aim at it.
const PHASE: Span = Span::secs(120);
/// A swarm makes a kind up to so many times as likely.
const SWARM_MOST: u64 = 8;

/// How many of a million runs of a swarm are quiet.
const QUIET_PER_MILLION: u32 = 250_000;
/// A quiet run draws one fault where others draw so many.
const QUIET_SHARE: u64 = 4;

/// Everything that one kind of the distribution can strike.
struct Choice<'a> {
    kind: &'a Drawn,
    weight: u64,
    sides: Vec<(Side, Domains)>,
    /// The places of each target's sides.
    targets: Vec<Range<usize>>,
    others: Vec<(Side, Domains)>,
    tolerance: Tolerance,
}

impl Choice<'_> {
    /// Whether it may strike a phase that begins about then.
    fn suits(&self, begins: Time) -> bool {
        self.tolerance.start <= begins + PHASE && self.tolerance.end > begins
    }
}

/// A fault without its time.
struct Blow {
    on: Link,
    domains: Domains,
    duration: Span,
    figures: Figures,
}

pub(super) struct Drawing<'a> {
    distribution: &'a Distribution,
    /// Whether faults strike where another one has not settled, too.
    beyond: bool,
    choices: Vec<Choice<'a>>,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(
        case: &Case,
        nodes: &Nodes,
        distribution: &'a Distribution,
        stream: &mut Stream,
    ) -> Drawing<'a> {
        let beyond = case.faults.goes_beyond();
        let choice = |kind: &'a Drawn| {
            let reach = kind.kind.reach();
            let (mut sides, mut targets) = (Vec::new(), Vec::new());
            for aim in &kind.targets {
                let from = sides.len();
                sides.extend(each(case, nodes, aim, reach));
                targets.push(from..sides.len());
            }
            let others = match &kind.to {
                Some(aim) if kind.kind.on_links() => each(case, nodes, aim, reach),
                _ => vec![(Side::Everybody, Domains::none())],
            };
            let tolerance = Tolerance {
                settle: kind.settle.unwrap_or(distribution.settle),
                start: Time::ZERO + kind.start.unwrap_or(distribution.start),
                end: Time::ZERO + kind.end.unwrap_or(distribution.end),
            };
            Choice { kind, weight: u64::from(kind.weight), sides, targets, others, tolerance }
        };
        // What this case does not have (no mirror, no such group) is not drawn.
        let drawn = distribution.drawn(beyond).filter(|drawn| lacking(drawn.kind, nodes).is_none());
        let choices = drawn.map(choice);
        let choices = choices.filter(|choice| !choice.sides.is_empty() && !choice.others.is_empty());
        let mut drawing = Drawing { distribution, beyond, choices: choices.collect() };
        if distribution.swarm {
            drawing.swarm(stream);
        }
        drawing
    }

    /// Take some of the kinds, each more or less likely than the case says.
    fn swarm(&mut self, stream: &mut Stream) {
        let drawn: Vec<u64> = self.choices.iter().map(|_| stream.below(2 * SWARM_MOST)).collect();
        let factors = drawn.iter().map(|drawn| (drawn + 1).saturating_sub(SWARM_MOST));
        if factors.clone().all(|factor| factor == 0) {
            return;
        }
        for (choice, factor) in self.choices.iter_mut().zip(factors) {
            choice.weight *= factor;
        }
    }

    /// Draw one fault in each of as many stretches of the window as there are faults, so that every phase gets some.
    pub(super) fn spread(&self, taken: &mut Taken, faults: &mut Vec<Fault>, stream: &mut Stream) {
        let start = Time::ZERO + self.distribution.start;
        let end = Time::ZERO + self.distribution.end;
        let count = self.count(stream);
        let stretch = Span(end.since(start).0 / count.max(1));
        // In any order: what strikes all domains finds room only where nothing else was drawn before.
        for number in shuffled(count, stream) {
            let from = start + stretch * number;
            let drawn = self
                .tried(from, from + stretch, taken, stream)
                .or_else(|| self.tried(start, end, taken, stream))
                .or_else(|| self.searched(taken));
            let Some((choice, blow, at)) = drawn else { return };
            taken.take(&blow.domains, at, at + blow.duration + choice.tolerance.settle);
            faults.push(self.fault(choice, blow, When::At(at)));
        }
    }

    /// How many faults to spread. A swarm has quiet runs too, in which what strikes everything at once finds room.
    fn count(&self, stream: &mut Stream) -> u64 {
        let count = u64::from(self.distribution.count);
        if self.distribution.swarm && stream.chance(QUIET_PER_MILLION) {
            count.div_ceil(QUIET_SHARE)
        } else {
            count
        }
    }

    /// Draw the faults that strike in each phase and at the edges of steps. When that will be nobody knows: whether one still
    /// fits is seen when it strikes.
    pub(super) fn aim_at_the_plan(&self, case: &Case, faults: &mut Vec<Fault>, stream: &mut Stream) {
        let mut not_before = Span::ZERO;
        let mut phases = Vec::new();
        for phase in &case.plan.phases {
            not_before = not_before.max(phase.not_before);
            phases.push((phase, Time::ZERO + not_before));
        }
        for (phase, begins) in &phases {
            for number in 0..self.distribution.each_phase {
                let when = |after| When::InPhase { phase: phase.name.clone(), after };
                if number % 2 == 0 {
                    let after = self.late_in_phase(stream);
                    faults.extend(self.aimed(*begins, when(after), stream));
                } else {
                    // Half of them while what the phase is about to stop still runs.
                    let at_once = stream.chance(500_000);
                    let after =
                        if at_once { stream.between(Span::ZERO, EDGE) } else { self.late_in_phase(stream) };
                    faults.extend(self.aimed_evenly(*begins, when(after), stream));
                }
            }
        }
        for _ in 0..self.distribution.at_steps {
            let Some((phase, begins)) = pick(stream, &phases) else { return };
            let lines = phase.steps.len().max(1) as u64;
            let step = stream.below(lines) as u32 + 1;
            let after = stream.between(Span::ZERO, EDGE);
            faults.extend(self.aimed(
                *begins,
                When::AtStep { phase: phase.name.clone(), step, after },
                stream,
            ));
        }
    }

    /// How long after a phase's beginning a fault strikes: early rather than late, for a phase may be over soon.
    fn late_in_phase(&self, stream: &mut Stream) -> Span {
        let most = stream.between(Span::ZERO, self.distribution.into_phase);
        stream.between(Span::ZERO, most)
    }

    /// A fault for a phase that begins about then.
    fn aimed(&self, begins: Time, when: When, stream: &mut Stream) -> Option<Fault> {
        let weights = self.choices.iter().map(|choice| if choice.suits(begins) { choice.weight } else { 0 });
        let choice = &self.choices[weighted(stream, weights)?];
        let blow = self.blow(choice, &choice.sides, stream)?;
        Some(self.fault(choice, blow, when))
    }

    /// A fault for a phase that begins about then, each kind on each of its targets as likely as any other: so that a sweep tries
    /// everything in every phase, which weights and a swarm alone would take far more seeds for.
    fn aimed_evenly(&self, begins: Time, when: When, stream: &mut Stream) -> Option<Fault> {
        let suiting = self.choices.iter().filter(|choice| choice.kind.weight > 0 && choice.suits(begins));
        let all: Vec<(&Choice<'_>, &[(Side, Domains)])> = suiting
            .flat_map(|choice| choice.targets.iter().map(move |sides| (choice, &choice.sides[sides.clone()])))
            .collect();
        let (choice, sides) = pick(stream, &all)?;
        let blow = self.blow(choice, sides, stream)?;
        Some(self.fault(choice, blow, when))
    }

    fn fault(&self, choice: &Choice<'_>, blow: Blow, when: When) -> Fault {
        Fault {
            when,
            duration: blow.duration,
            kind: choice.kind.kind,
            on: blow.on,
            figures: blow.figures,
            domains: blow.domains,
            tolerance: (!self.beyond).then(|| choice.tolerance.clone()),
            listed: None,
        }
    }

    fn tried(
        &self,
        from: Time,
        until: Time,
        taken: &Taken,
        stream: &mut Stream,
    ) -> Option<(&Choice<'a>, Blow, Time)> {
        for _ in 0..TRIES {
            let choice = &self.choices[weighted(stream, self.weights())?];
            let at = from + stream.between(Span::ZERO, until.since(from));
            if let Some(blow) = self.blow(choice, &choice.sides, stream)
                && self.fits(choice, &blow, at, taken)
            {
                return Some((choice, blow, at));
            }
        }
        None
    }

    /// What a kind does this time, to one of these.
    fn blow(&self, choice: &Choice<'_>, sides: &[(Side, Domains)], stream: &mut Stream) -> Option<Blow> {
        let (from, domains) = pick(stream, sides)?.clone();
        let (to, others) = pick(stream, &choice.others)?.clone();
        let duration = stream.between(choice.kind.least, choice.kind.most);
        let behind = stream.chance(500_000);
        let skew = stream.between(Span::millis(1), choice.kind.skew.unwrap_or_default());
        blow(choice, (from, to), domains.with(others), duration, (skew, behind))
    }

    /// The first place in the window where anything fits, at its shortest: so that a run has as many faults as it can.
    fn searched(&self, taken: &Taken) -> Option<(&Choice<'a>, Blow, Time)> {
        for choice in self.choices.iter().filter(|choice| choice.weight > 0) {
            for (from, domains) in &choice.sides {
                for (to, others) in &choice.others {
                    let domains = domains.clone().with(others.clone());
                    let skew = (choice.kind.skew.unwrap_or_default(), false);
                    let Some(blow) = blow(choice, (*from, *to), domains, choice.kind.least, skew) else {
                        continue;
                    };
                    let mut at = choice.tolerance.start;
                    while at < choice.tolerance.end {
                        if self.fits(choice, &blow, at, taken) {
                            return Some((choice, blow, at));
                        }
                        at += Span::secs(1);
                    }
                }
            }
        }
        None
    }

    fn weights(&self) -> impl Iterator<Item = u64> + Clone {
        self.choices.iter().map(|choice| choice.weight)
    }

    fn fits(&self, choice: &Choice<'_>, blow: &Blow, at: Time, taken: &Taken) -> bool {
        let until = at + blow.duration;
        let in_window = at >= choice.tolerance.start && until <= choice.tolerance.end;
        let free = || taken.free(&blow.domains, at, until + choice.tolerance.settle);
        in_window && (self.beyond || free())
    }
}

/// What a kind does; none where a link would be one to itself, or from a site to itself.
fn blow(
    choice: &Choice<'_>,
    (from, to): (Side, Side),
    domains: Domains,
    duration: Span,
    (skew, behind): (Span, bool),
) -> Option<Blow> {
    let kind = choice.kind;
    if kind.kind.on_links() && from == to {
        return None;
    }
    let mut figures = Figures::from(kind.given());
    if kind.skew.is_some() {
        (figures.skew, figures.behind) = (skew, behind);
    }
    Some(Blow { on: Link { from, to, one_way: kind.one_way }, domains, duration, figures })
}
