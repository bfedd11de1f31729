//! What the findings of rewinds say.

use super::super::tally::{Gathered, Kind};
use super::super::{Ground, Subject};

/// Nobody had told the operator.
pub(super) const UNTOLD: u8 = 1;
/// The record lies before the place to which the operator goes back, and was sent after the moment.
pub(super) const EARLY: u8 = 2;
/// Kafka had deleted the record.
pub(super) const DELETED: u8 = 4;

/// Why a going back was not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misdirection {
    /// Another instance, group or partition than was asked for.
    Elsewhere,
    /// Another life of the instance for which the command was.
    AnotherLife,
    /// The rewind was over.
    Over,
    /// There was no command at all.
    Untold,
}

pub(super) fn summary(subject: &Subject, kind: &Kind, gathered: &Gathered) -> String {
    let group = subject.group_name(kind.group.unwrap_or_default());
    let partition = subject.partition_name(kind.partition.unwrap_or_default());
    let phase = subject.phase_name(kind.phase);
    let (first, at, more) = (gathered.first(), gathered.at, gathered.and_more());
    match kind.ground {
        Ground::Misdirected => {
            let place = format!("in {partition} at {at} during {phase}, to {first} or before");
            match kind.detail {
                of if of == Misdirection::AnotherLife as u8 => format!(
                    "a later life of the instance of {group} that was meant went back {place}, by a command for an earlier one"
                ),
                of if of == Misdirection::Over as u8 => {
                    format!("an instance of {group} went back {place}, for a rewind that was over")
                }
                of if of == Misdirection::Untold as u8 => {
                    format!("an instance of {group} went back {place}, which nobody had told it")
                }
                _ => format!("an instance of {group} that was not meant went back {place}"),
            }
        }
        Ground::Skipped => format!(
            "{group} was rewound in {partition} and went on to {} at {at} during {phase} before it was \
             delivered {first} again{more}",
            gathered.second()
        ),
        _ => {
            let told = match kind.detail & UNTOLD {
                0 => format!("the operator was told that {group} is rewound in {partition}"),
                _ => format!(
                    "the operator went on as if {group} were rewound in {partition}, which nobody had told him"
                ),
            };
            let which = match kind.detail & EARLY {
                0 => "",
                _ => ", sent after the moment that he asked for and before the place that he was led to,",
            };
            let end = match kind.detail & DELETED {
                0 => format!("by {at}, during {phase}, it was passed over"),
                _ => format!("Kafka had deleted it, and by {at}, during {phase}, it was passed over"),
            };
            format!("{told}, and {first}{more}{which} was not delivered again: {end}")
        }
    }
}
