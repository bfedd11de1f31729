//! Which partitions a broker hosts, and whether it leads or follows in each, as the metadata log says.

use super::leader::Leader;
use super::{Broker, Context};
use crate::history::Event;
use crate::kafka::protocol::{BrokerId, ErrorCode};
use crate::kafka::replica::Replica;
use crate::kafka::wiring::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC, is_of_the_case};
use crate::record::{Offset, TopicId, TopicPartition};
use serde::Serialize;

/// A partition that the broker hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hosted {
    /// Everything below is on all replicas in sync.
    pub high_watermark: Offset,
    /// What the broker is for it.
    pub role: Role,
}

/// What a broker is for a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Role {
    /// It leads.
    Leader(Box<Leader>),
    /// It follows that leader, if there is one, in that epoch.
    Follower(Option<BrokerId>, i32),
}

impl Hosted {
    pub fn leader_epoch(&self) -> i32 {
        match &self.role {
            Role::Leader(leader) => leader.epoch,
            Role::Follower(_, epoch) => *epoch,
        }
    }

    pub fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Follower(..) => None,
        }
    }
}

impl Broker {
    /// Read the high watermarks that the process left on disk.
    pub(super) fn find_high_watermarks(&mut self) {
        let (seen, orderly) = (self.durable.last_seen, self.durable.orderly);
        let every = self.settings.high_watermark_checkpoint;
        for (at, replica) in self.durable.replicas.iter_mut() {
            let high_watermark = replica.restarted(seen, every, orderly);
            // The epoch is not known before the metadata log is: any is newer than this one.
            let hosted = Hosted { high_watermark, role: Role::Follower(None, -1) };
            self.volatile.roles.insert(at, hosted);
        }
    }

    /// Throw away replicas of topics that were deleted, or created anew, while the process was down.
    pub(super) fn drop_deleted_replicas(&mut self) {
        let topics = &self.durable.image.topics;
        self.durable.replicas.retain(|at, replica| {
            topics.get(&at.topic).is_some_and(|topic| topic.incarnation == replica.topic_incarnation)
        });
        let replicas = &self.durable.replicas;
        self.volatile.roles.retain(|at, _| replicas.contains(at));
    }

    /// Do what the latest state of a partition asks of this broker.
    pub(super) fn take_role(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        let Some(state) = self.durable.image.partitions.get(at) else { return };
        if !state.replicas.contains(&self.id) {
            if self.volatile.roles.contains(at) {
                self.drop_replica(cx, at);
            }
            return;
        }
        let (leader, epoch, partition_epoch) = (state.leader, state.leader_epoch, state.partition_epoch);
        if !self.volatile.roles.contains(at) {
            let incarnation = self.durable.image.topics.get(&at.topic).map_or(0, |topic| topic.incarnation);
            self.durable.replicas.or_insert_with(at, || Replica::new(incarnation));
            let hosted = Hosted { high_watermark: 0, role: Role::Follower(None, -1) };
            self.volatile.roles.insert(at, hosted);
        }
        let Some(hosted) = self.volatile.roles.get(at) else { return };
        if leader == Some(self.id) {
            match &hosted.role {
                Role::Leader(led) if led.epoch == epoch => {
                    if led.partition_epoch < partition_epoch {
                        self.take_isr(cx, at);
                    }
                }
                _ => self.become_leader(cx, at),
            }
        } else if hosted.leader().is_some() || hosted.leader_epoch() < epoch {
            self.become_follower(cx, at, leader, epoch);
        }
    }

    fn become_leader(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        self.stop_following(at);
        let Some(state) = self.durable.image.partitions.get(at) else { return };
        let Some(replica) = self.durable.replicas.get_mut(at) else { return };
        replica.log.begin_epoch(state.leader_epoch, replica.log.end());
        let leader = Leader::new(state, self.id, replica.log.end(), cx.time());
        if is_of_the_case(at.topic) {
            cx.effects.record(Event::LeadershipTaken {
                partition: at,
                epoch: i64::from(state.leader_epoch),
                end: replica.log.end(),
            });
        }
        if let Some(hosted) = self.volatile.roles.get_mut(at) {
            hosted.role = Role::Leader(Box::new(leader));
        }
        self.advance_high_watermark(cx, at);
        self.touch(at);
        if at.topic == OFFSETS_TOPIC {
            self.load_groups(cx, at.partition);
        } else if at.topic == TRANSACTIONS_TOPIC {
            self.load_transactions(cx, at.partition);
        }
    }

    fn become_follower(
        &mut self,
        cx: &mut Context<'_>,
        at: TopicPartition,
        leader: Option<BrokerId>,
        epoch: i32,
    ) {
        self.stop_leading(cx, at, ErrorCode::NotLeaderOrFollower);
        self.stop_following(at);
        if let Some(hosted) = self.volatile.roles.get_mut(at) {
            hosted.role = Role::Follower(leader, epoch);
        }
        if let Some(leader) = leader {
            self.follow(at, leader);
        }
        self.touch(at);
    }

    /// Whatever waits for a partition that this broker led is told so.
    fn stop_leading(&mut self, cx: &mut Context<'_>, at: TopicPartition, error: ErrorCode) {
        if self.volatile.roles.get(at).is_some_and(|hosted| hosted.leader().is_some()) {
            self.fail_appends(cx, at, error);
            self.forget_isr_request(at);
            if at.topic == OFFSETS_TOPIC {
                self.unload_groups(cx, at.partition);
            } else if at.topic == TRANSACTIONS_TOPIC {
                self.unload_transactions(at.partition);
            }
        }
    }

    fn drop_replica(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        self.stop_leading(cx, at, ErrorCode::NotLeaderOrFollower);
        self.stop_following(at);
        self.volatile.roles.remove(at);
        self.durable.replicas.remove(at);
        self.touch(at);
    }

    pub(super) fn drop_topic(&mut self, cx: &mut Context<'_>, topic: TopicId) {
        let hosted: Vec<TopicPartition> = self.volatile.roles.of_topic(topic).map(|(at, _)| at).collect();
        for at in hosted {
            self.stop_leading(cx, at, ErrorCode::UnknownTopicOrPartition);
            self.stop_following(at);
            self.volatile.roles.remove(at);
            self.durable.replicas.remove(at);
            self.touch(at);
        }
        self.forget_offsets_of(cx, topic);
    }

    /// What a partition that this broker does not host is answered with.
    pub(super) fn not_hosted(&self, at: TopicPartition) -> ErrorCode {
        if self.durable.image.partitions.contains(at) {
            ErrorCode::NotLeaderOrFollower
        } else {
            ErrorCode::UnknownTopicOrPartition
        }
    }

    /// The partition as its leader, or why this broker is not.
    pub(super) fn led(&self, at: TopicPartition) -> Result<(&Hosted, &Leader, &Replica), ErrorCode> {
        let hosted = self.volatile.roles.get(at).ok_or_else(|| self.not_hosted(at))?;
        let leader = hosted.leader().ok_or(ErrorCode::NotLeaderOrFollower)?;
        let replica = self.durable.replicas.get(at).ok_or(ErrorCode::NotLeaderOrFollower)?;
        Ok((hosted, leader, replica))
    }

    /// Whether a caller's leader epoch is the current one; -1 is not checked.
    pub(super) fn check_epoch(hosted: &Hosted, callers: i32) -> Result<(), ErrorCode> {
        let current = hosted.leader_epoch();
        if callers < 0 || callers == current {
            Ok(())
        } else if callers < current {
            Err(ErrorCode::FencedLeaderEpoch)
        } else {
            Err(ErrorCode::UnknownLeaderEpoch)
        }
    }
}
