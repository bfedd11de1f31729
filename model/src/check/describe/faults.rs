//! Faults as sentences, by the words of the case file.

use crate::incident::RareBranch;

/// A fault as a sentence, by the word of the case file; a word that is not known stands for itself.
pub(super) fn fault_begun(kind: &str, target: &str, figure: &str) -> String {
    let sentence = beginning(kind, target);
    match kind {
        _ if figure.is_empty() => sentence,
        "clock-skew" => format!("the clock of {target} is {figure}"),
        "clock-jump" => format!("{sentence} and is {figure}"),
        _ => format!("{sentence} ({figure})"),
    }
}

fn beginning(kind: &str, target: &str) -> String {
    let messages = || format!("messages {}", ways(target));
    match kind {
        "crash" => format!("{target} crashes"),
        "pause" => format!("{target} stands still"),
        "restart" => format!("{target} is restarted"),
        "cut" => format!("nothing passes {}", ways(target)),
        "slow-link" => format!("{} come late", messages()),
        "lossy-link" => format!("{} get lost at times", messages()),
        "duplicating-link" => format!("{} come twice at times", messages()),
        "reordering-link" => format!("{} are overtaken at times", messages()),
        "clock-skew" => format!("the clock of {target} is wrong"),
        "host-crash" => format!("the host of {target} dies, and with it what was not on the disk yet"),
        "disk-loss" => format!("{target} dies, and its disk with it"),
        "rolling-restart" => format!("{target} is restarted, one after the other"),
        "scale-down" => format!("of {target} half are stopped"),
        "scale-up" => format!("{target} gets more instances"),
        "isr-shrink" => format!("nothing passes {}", ways(target)),
        "slow-disk" => format!("the disk of {target} is slow"),
        "full-disk" => format!("the disk of {target} is full"),
        "clock-jump" => format!("the clock of {target} jumps"),
        "fail-over" => format!("the on-call is told to fail {target} over, though nothing is wrong"),
        "leader-election" => format!("{target} is told to elect the preferred leaders"),
        "unclean-election" => format!("{target} is told to elect leaders that are not in sync"),
        "lost-switches" => format!("switches {} get lost", ways(target)),
        "late-switches" => format!("switches {} come late", ways(target)),
        "stale-switches" => format!("{target} tells what stood before the last change"),
        "stale-reports" => format!("the monitoring of {target} stands still"),
        "quota" => format!("the cloud grants {target} fewer bytes"),
        "burst" => format!("{target} sends ahead of time what was due later"),
        "oversized-record" => format!("the next record of {target} is too large"),
        _ => format!("{kind} at {target}"),
    }
}

/// A branch that is seldom taken.
pub(super) fn rare(node: &str, branch: RareBranch) -> String {
    match branch {
        RareBranch::ShortFetch => format!("{node} fetches, and is to get less than there is"),
        RareBranch::LateAcknowledgement => format!("{node} acknowledges late"),
        RareBranch::SpuriousTimeOut => format!("{node} acknowledges, and it does not arrive"),
    }
}

pub(super) fn fault_ended(kind: &str, target: &str) -> String {
    match kind {
        "crash" | "restart" | "host-crash" => format!("{target} starts again"),
        "disk-loss" => format!("{target} starts again with an empty disk"),
        "rolling-restart" | "scale-down" => format!("{target} is whole again"),
        "scale-up" => format!("{target} loses the instances that were added"),
        "slow-disk" => format!("the disk of {target} is as fast as before"),
        "full-disk" => format!("there is room on the disk of {target} again"),
        "quota" => format!("the cloud grants {target} what it did before"),
        "stale-switches" => format!("{target} tells what stands"),
        "stale-reports" => format!("the monitoring of {target} goes on"),
        // Done when it began, or not put right.
        "fail-over" | "leader-election" | "unclean-election" | "burst" | "oversized-record"
        | "clock-jump" => {
            format!("{kind} at {target} is over")
        }
        "pause" => format!("{target} goes on"),
        "clock-skew" => format!("the clock of {target} is as it was"),
        "cut" | "isr-shrink" | "lost-switches" | "late-switches" | "slow-link" | "lossy-link"
        | "duplicating-link" | "reordering-link" => {
            format!("messages {} pass as before", ways(target))
        }
        _ => format!("{kind} at {target}"),
    }
}

/// The links of a fault: both ways, or one.
fn ways(target: &str) -> String {
    if target.contains(" to ") { format!("from {target}") } else { format!("between {target}") }
}
