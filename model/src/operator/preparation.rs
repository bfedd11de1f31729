//! Committing offsets in Kafka for a group that has no members there: look them up, commit them without a member, read
//! them back. As long as the group has a member, Kafka refuses (hazards 21 and 36), and the operator tries again.

use crate::kafka::protocol::{CommitPartition, ErrorCode, MemberId, OffsetAt, Request};
use crate::operator::admin::Listed;
use crate::plan::PreparedFrom;
use crate::record::{GroupId, Offset, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far a preparation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Preparation {
    pub(super) group: GroupId,
    /// Where they point; nothing where the offsets of a moment are only looked up.
    from: Option<PreparedFrom>,
    /// Where to look, fixed when a try begins.
    at: Option<OffsetAt>,
    /// What was found: nothing where no record is so young.
    found: BTreeMap<TopicPartition, Option<Offset>>,
    pub(super) leaders_asked: bool,
    committed: bool,
    /// Read back as it was committed.
    pub(super) done: bool,
    /// What went wrong last; until the next try nothing is asked.
    pub(super) trouble: Option<String>,
    pub(super) blocked: bool,
}

impl Preparation {
    /// The preparation of that group's offsets from there.
    pub(super) fn new(group: GroupId, from: PreparedFrom) -> Preparation {
        Preparation {
            group,
            from: Some(from),
            at: None,
            found: BTreeMap::new(),
            leaders_asked: false,
            committed: false,
            done: false,
            trouble: None,
            blocked: false,
        }
    }

    /// Looking up that moment's offsets for that group: nothing is committed.
    pub(super) fn look_up(group: GroupId, at: Time) -> Preparation {
        Preparation {
            from: None,
            at: Some(OffsetAt::Time(at)),
            ..Preparation::new(group, PreparedFrom::Latest)
        }
    }

    /// Whether the offsets are only looked up.
    pub(super) fn only_looks_up(&self) -> bool {
        self.from.is_none()
    }

    /// What was found.
    pub(super) fn offsets(&self) -> impl Iterator<Item = (TopicPartition, Offset)> + '_ {
        self.found.iter().filter_map(|(partition, offset)| offset.map(|offset| (*partition, offset)))
    }

    /// Something went wrong: rest until the next try.
    pub(super) fn fail(&mut self, trouble: String) {
        self.trouble = Some(trouble);
        self.blocked = true;
        self.leaders_asked = false;
    }

    /// The whole is done again, as a tool does that is run again: by its clock "a minute ago" is another moment then.
    fn begin_again(&mut self, trouble: String) {
        self.at = None;
        self.found.clear();
        self.committed = false;
        self.fail(trouble);
    }

    /// Which offsets are still to be looked up, and where.
    pub(super) fn wanted(
        &mut self,
        partitions: &[TopicPartition],
        wall: Time,
    ) -> Vec<(TopicPartition, OffsetAt)> {
        let at = *self.at.get_or_insert(match self.from {
            Some(PreparedFrom::Earliest) => OffsetAt::Earliest,
            Some(PreparedFrom::Latest) | None => OffsetAt::Latest,
            Some(PreparedFrom::Ago(span)) => OffsetAt::Time(wall - span),
        });
        let wanted = |partition: &TopicPartition| match self.found.get(partition) {
            Some(Some(_)) => None,
            // Where no record is so young the group begins at the end.
            Some(None) => Some((*partition, OffsetAt::Latest)),
            None => Some((*partition, at)),
        };
        partitions.iter().filter_map(wanted).collect()
    }

    /// A partition's leader answered; `name` is the partition's.
    pub(super) fn listed(&mut self, (partition, error, offset, ..): Listed, name: &str) {
        match error {
            ErrorCode::None => {
                self.found.insert(partition, (offset >= 0).then_some(offset));
            }
            _ => self.fail(format!("Kafka answers {error} for {name}")),
        }
    }

    /// The commit that is to be sent, if it has not been taken yet.
    pub(super) fn commit(&self, partitions: &[TopicPartition]) -> Option<Request> {
        let offset = |partition: &TopicPartition| self.found.get(partition).copied().flatten();
        let entry = |partition: &TopicPartition| {
            offset(partition).map(|offset| CommitPartition {
                partition: *partition,
                offset,
                leader_epoch: -1,
                metadata_bytes: 0,
            })
        };
        (!self.committed).then(|| Request::OffsetCommit {
            group: self.group,
            generation: -1,
            member: MemberId::NONE,
            instance: None,
            offsets: partitions.iter().filter_map(entry).collect(),
        })
    }

    /// The coordinator answered the commit.
    pub(super) fn commit_answered(&mut self, error: Option<ErrorCode>) {
        match error {
            None => self.committed = true,
            Some(ErrorCode::UnknownMemberId) => self.begin_again(
                "Kafka refuses the offsets with UNKNOWN_MEMBER_ID: the group has live members there"
                    .to_owned(),
            ),
            Some(error) => self.fail(format!("Kafka answers the commit of the offsets with {error}")),
        }
    }

    /// The coordinator told what is committed.
    pub(super) fn read_back(&mut self, error: Option<ErrorCode>, offsets: &[(TopicPartition, Offset)]) {
        if let Some(error) = error {
            self.fail(format!("Kafka answers the reading back of the offsets with {error}"));
        } else if self.found.iter().all(|(partition, found)| {
            offsets.iter().any(|(read, offset)| read == partition && Some(*offset) == *found)
        }) {
            self.done = true;
        } else {
            self.begin_again("the offsets read back differ from those committed".to_owned());
        }
    }
}
