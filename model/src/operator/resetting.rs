//! Sets where a group begins to read in Corgi, as its tool does (RocketMQ's `resetOffsetByTime`, for a group of which nobody reads
//! there): each broker is told, those that are masters do it for the partitions that they have, and the step is done when
//! every partition of the group has been set. What was not answered is told again.

use crate::corgi::protocol::{Request, ResetTo, Response};
use crate::machine::{Effects, Now, RequestId};
use crate::message::Message;
use crate::operator::acts::{Errand, errand};
use crate::operator::{Busy, Operator};
use crate::plan::PreparedFrom;
use crate::record::{GroupId, TopicPartition};
use serde::Serialize;
use std::collections::BTreeSet;

/// How far the setting of a group's offsets is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Resetting {
    /// Where to, fixed when he began.
    to: ResetTo,
    /// The partitions that were set.
    set: BTreeSet<TopicPartition>,
}

impl Operator {
    /// Tell the brokers where the group is to begin.
    pub(super) fn reset(&mut self, group: GroupId, from: PreparedFrom, now: Now, effects: &mut Effects) {
        let to = match from {
            PreparedFrom::Earliest => ResetTo::Earliest,
            PreparedFrom::Latest => ResetTo::Latest,
            PreparedFrom::Ago(span) => ResetTo::CreatedAt(now.wall - span),
        };
        let begun = Resetting { to, set: BTreeSet::new() };
        let to = self.volatile.resetting.get_or_insert(begun).to;
        let topics = &self.wiring.groups[usize::from(group.0)].topics;
        let brokers: Vec<_> = self.durable.notes.corgi_brokers(&self.wiring).collect();
        for broker in brokers {
            let id = self.volatile.ids.next_id();
            let request = Request::ResetOffsets { group, topics: topics.clone(), to };
            effects.send(broker, Message::CorgiRequest(id, Box::new(request)));
        }
    }

    /// A master answered. A late answer to an earlier telling says the same.
    pub(super) fn master_told(&mut self, id: RequestId, response: &Response, effects: &mut Effects) {
        let Response::OffsetsReset { offsets } = response else { return };
        if self.volatile.busy != Busy::Acting || !self.volatile.ids.issued(id) {
            return;
        }
        let Some(resetting) = &mut self.volatile.resetting else { return };
        resetting.set.extend(offsets.iter().map(|(partition, _)| *partition));
        if self.unset().is_some_and(|unset| unset.is_empty()) {
            self.act_done(effects);
        }
    }

    /// The partitions of the group that no master has set, where that is under way.
    fn unset(&self) -> Option<Vec<TopicPartition>> {
        let resetting = self.volatile.resetting.as_ref()?;
        let Errand::Reset(group, _) = errand(self.act_here()?, &self.wiring, &self.durable.notes) else {
            return None;
        };
        let topics = &self.wiring.groups[usize::from(group.0)].topics;
        let of_group = self.wiring.sources().filter(|partition| topics.contains(&partition.topic));
        Some(of_group.filter(|partition| !resetting.set.contains(partition)).collect())
    }

    /// What a setting of offsets that is under way waits for.
    pub(super) fn resetting_trouble(&self) -> Option<String> {
        let unset: Vec<String> =
            self.unset()?.into_iter().map(|partition| self.wiring.say(partition)).collect();
        Some(format!("no Corgi master has confirmed it of {}", unset.join(", ")))
    }
}
