//! Which conditions a plan can reach at all: a zero of one that it cannot tells nothing.

use super::{Anytime, InPhase};
use crate::mirror::settings::Commit;
use crate::plan::{Act, Phase, Plan, Step};
use crate::record::Queue;
use crate::switch::WriteTo;
use serde::Serialize;

/// What there can be in a phase, by the plan alone: whatever a step brings about may last, unless a later one ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Stretch {
    mirror: bool,
    corgi: bool,
    hold: bool,
    gate: bool,
}

/// What of the conditions a plan has to do with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// By phase, from the first.
    phases: Vec<Stretch>,
    /// Whether a gate of it can time out.
    times_out: bool,
    /// Whether it pauses a group.
    pauses: bool,
    /// Whether it has a group read from Kafka.
    crosses: bool,
    /// Whether it has producers write to Kafka.
    writes_to_kafka: bool,
    /// Whether the mirror copies exactly once: only one that does can be fenced.
    copies_exactly_once: bool,
}

fn acts(phase: &Phase) -> impl Iterator<Item = &Act> {
    phase.steps.iter().flat_map(|step| match step {
        Step::Act(act) => std::slice::from_ref(act),
        Step::Wait(wait) => wait.otherwise.as_slice(),
    })
}

impl Outline {
    /// Of that plan, with a mirror that commits so.
    pub fn of(plan: &Plan, commit: Commit) -> Outline {
        let has = |is: &dyn Fn(&Act) -> bool| plan.acts().any(is);
        let mut lasting = Stretch { corgi: true, ..Stretch::default() };
        let stretch = |phase: &Phase| {
            let mut here = lasting;
            for act in acts(phase) {
                match act {
                    Act::StartMirror => (lasting.mirror, here.mirror) = (true, true),
                    Act::StopMirror => lasting.mirror = false,
                    Act::StopCorgi => lasting.corgi = false,
                    Act::Hold { .. } => (lasting.hold, here.hold) = (true, true),
                    _ => {}
                }
            }
            here.gate = phase.steps.iter().any(|step| matches!(step, Step::Wait(_)));
            here
        };
        let phases = plan.phases.iter().map(stretch).collect();
        let mut steps = plan.phases.iter().flat_map(|phase| &phase.steps);
        Outline {
            phases,
            times_out: steps.any(|step| matches!(step, Step::Wait(wait) if wait.timeout.is_some())),
            pauses: has(&|act| matches!(act, Act::Pause { .. })),
            crosses: has(&|act| matches!(act, Act::SwitchRead { to: Queue::Kafka, .. })),
            writes_to_kafka: has(&|act| {
                matches!(act, Act::SwitchWrite { to: WriteTo::Kafka | WriteTo::Both })
            }),
            copies_exactly_once: commit == Commit::Atomic,
        }
    }

    /// Whether it can be reached in that phase, from 1.
    pub(super) fn allows_in(&self, condition: InPhase, phase: usize) -> bool {
        let Some(stretch) = phase.checked_sub(1).and_then(|place| self.phases.get(place)) else {
            return true;
        };
        match condition {
            InPhase::MirrorLagged | InPhase::MirrorCrashed => stretch.mirror,
            InPhase::ProducerHeld => stretch.hold,
            InPhase::MasterFailed => stretch.corgi,
            InPhase::GateWaited => stretch.gate,
            _ => true,
        }
    }

    /// Whether it can be reached at any time.
    pub(super) fn allows(&self, condition: Anytime) -> bool {
        let mirrors = self.phases.iter().any(|phase| phase.mirror);
        match condition {
            Anytime::RecordCopiedTwice | Anytime::MirrorWroteAfterAnotherWasGranted => mirrors,
            Anytime::MirrorWorkerWasFenced => mirrors && self.copies_exactly_once,
            Anytime::RecordReadFromBothQueues | Anytime::GroupCrossedToKafka => self.crosses,
            Anytime::GroupRebalancedWhilePaused => self.pauses,
            Anytime::WrittenToKafkaWhileTheMirrorLagged => self.writes_to_kafka,
            Anytime::ProducerHeldWhileAMirrorWasDown => mirrors && self.phases.iter().any(|phase| phase.hold),
            Anytime::GateTimedOut => self.times_out,
            Anytime::RecordStoredTwiceByAProducer
            | Anytime::RedeliveryHappened
            | Anytime::PartitionSharedByProducers => true,
        }
    }
}
