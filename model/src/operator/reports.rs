//! What the operator was told, and when he had asked for it. A report's age counts from the question: the answer may
//! have been true at any moment since.

use crate::machine::{Effects, RequestId, RequestIds};
use crate::message::Message;
use crate::record::NodeId;
use crate::report::Report;
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// The latest report of each node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Reports {
    told: BTreeMap<NodeId, Told>,
    /// Questions without an answer: whom, and when.
    pending: Vec<(RequestId, NodeId, Time)>,
    /// The monitoring stands still: nobody is asked, and what was told last is all that is shown.
    is_stale: bool,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    /// What it says.
    pub(super) report: Report,
    /// When it was asked for.
    pub(super) asked_at: Time,
    /// When it came.
    pub(super) told_at: Time,
}

impl Reports {
    /// The monitoring stands still from now on: what is on its way is not shown either.
    pub(super) fn stand_still(&mut self) {
        self.is_stale = true;
        self.pending.clear();
    }

    /// The monitoring goes on.
    pub(super) fn go_on(&mut self) {
        self.is_stale = false;
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Ask those nodes how they stand.
    pub(super) fn ask(&mut self, nodes: &[NodeId], now: Time, ids: &mut RequestIds, effects: &mut Effects) {
        if self.is_stale {
            return;
        }
        for node in nodes {
            let id = ids.next_id();
            self.pending.push((id, *node, now));
            effects.send(*node, Message::ReportRequest(id));
        }
    }

    /// A report came. Returns whether it says something newer than what was known.
    pub(super) fn tell(&mut self, from: NodeId, id: RequestId, report: Report, now: Time) -> bool {
        let Some(place) = self.pending.iter().position(|(asked, node, _)| *asked == id && *node == from)
        else {
            return false;
        };
        let (_, _, asked_at) = self.pending.remove(place);
        if self.told.get(&from).is_some_and(|known| known.asked_at > asked_at) {
            return false;
        }
        self.told.insert(from, Told { report, asked_at, told_at: now });
        true
    }

    /// Expect no answer any more to what was asked before that moment: it would be too old to count.
    pub(super) fn give_up(&mut self, before: Time) {
        self.pending.retain(|(_, _, asked_at)| *asked_at >= before);
    }

    /// That node's process is gone: what it was asked remains unanswered. What it had told stays, and grows old.
    pub(super) fn disconnected(&mut self, gone: NodeId) {
        self.pending.retain(|(_, node, _)| *node != gone);
    }

    /// What that node told, if that was asked for at or after `since`.
    pub(super) fn of(&self, node: NodeId, since: Time) -> Option<&Told> {
        self.told.get(&node).filter(|told| told.asked_at >= since)
    }
}
