//! A Corgi broker: the master of its set or one of its slaves, as its durable role says.
//!
//! A crash of the process loses nothing of the log (e11: the page cache survives); leases, members, waiting sends and
//! the offsets committed since the last flush are gone. What a dead host and a replaced disk take: `disk`. Slaves serve
//! no reads here, other than in e2kill.

mod delays;
mod disk;
mod grouping;
mod replication;
mod retention;
mod roles;
mod serving;
mod shapes;
#[cfg(test)]
mod tests;

use crate::corgi::groups::Groups;
use crate::corgi::log::{Log, Waiting};
use crate::corgi::protocol::{Epoch, Length, Refusal, Request, Response};
use crate::corgi::wiring::Topic;
use crate::corgi::{Settings, Wiring};
use crate::history::Event;
use crate::incident::{DiskLoss, Incident};
use crate::machine::{Effects, Input, Machine, Now, Process, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::partition_map::PartitionMap;
use crate::record::{GroupId, NodeId, Offset, TopicPartition};
use crate::report::Report;
use crate::units::{Span, Time};
use delays::Delays;
use disk::Disk;
use litemap::LiteMap;
use retention::Files;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

const REGISTER: Timer = Timer::new("corgi-broker/register", 0);
const FOLLOW: Timer = Timer::new("corgi-broker/follow", 0);
const COPY_OFFSETS: Timer = Timer::new("corgi-broker/copy-offsets", 0);
const FLUSH_OFFSETS: Timer = Timer::new("corgi-broker/flush-offsets", 0);
const DEADLINE: Timer = Timer::new("corgi-broker/deadline", 0);
const PROBE: Timer = Timer::new("corgi-broker/probe", 0);
const DUE: Timer = Timer::new("corgi-broker/due", 0);
const FLUSH_DELAYS: Timer = Timer::new("corgi-broker/flush-delays", 0);
const RETENTION: Timer = Timer::new("corgi-broker/retention", 0);
const SETTLE: Timer = Timer::new("corgi-broker/settle", 0);

/// How long a master waits for a slave's answer before it asks how far the slave is, and how often a slave asks for
/// entries that it misses.
const PROBE_INTERVAL: Span = Span::secs(1);

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broker {
    settings: Settings,
    wiring: Wiring,
    set: u16,
    node: NodeId,
    durable: Durable,
    volatile: Volatile,
}

/// What survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Durable {
    role: Role,
    /// The latest epoch that this broker has promised to obey.
    epoch: Epoch,
    /// Told by the on-call to follow nobody until he says whom.
    fenced: bool,
    /// The last epoch whose beginning the log is known to contain.
    log_epoch: Epoch,
    /// On a master: the log's end when its epoch began.
    epoch_start: u64,
    log: Log,
    /// The groups' offsets as they were last flushed.
    offsets: LiteMap<(GroupId, TopicPartition), Offset>,
    disk: Disk,
    files: Files,
    /// The last of the delayed records that are known to be stored in their partitions.
    delays_stored: Waiting,
    /// The topics that were widened, as far as this broker was told.
    widened: Vec<Topic>,
}

/// What a broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Role {
    Master,
    Slave(Option<NodeId>),
}

/// What a crash takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    ids: RequestIds,
    offsets: LiteMap<(GroupId, TopicPartition), Offset>,
    /// Counts the changes of the offsets, unlike in an earlier life.
    offsets_version: u64,
    flush_is_due: bool,
    disk_is_full: bool,
    master: Mastership,
    slave: Slavery,
}

/// What a master keeps in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Mastership {
    followers: LiteMap<NodeId, Follower>,
    /// Everything before this position is on as many slaves as wanted.
    acknowledged: u64,
    waiting: VecDeque<WaitingSend>,
    delays: Delays,
    parked: PartitionMap<Vec<ParkedPull>>,
    groups: Groups,
    /// When the deadline timer runs out, if it is set.
    deadline: Option<Time>,
    probing: bool,
    /// It grants no partition yet, and the history was not told of it.
    leases_untold: bool,
}

/// A slave, as its master sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Follower {
    /// Everything before this position was sent to it.
    sent: u64,
    /// Everything before this position has arrived, as far as the flow of entries is concerned.
    received: u64,
    /// Everything before this position it has said to have.
    acknowledged: u64,
    heard_at: Time,
}

/// A send that waits for the slaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct WaitingSend {
    ask: Ask,
    /// The position behind its last entry.
    position: u64,
    offset: Offset,
    deadline: Time,
}

/// A pull that waits for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct ParkedPull {
    ask: Ask,
    group: GroupId,
    offset: Offset,
    max_records: u32,
    deadline: Time,
}

/// What a slave keeps in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Slavery {
    /// Whether the master has agreed from where on this slave gets the log.
    attached: bool,
    /// The master's log end when its epoch began.
    epoch_start: u64,
    /// The last question to follow, and when it was asked.
    asked: Option<(RequestId, Time)>,
    heard_at: Time,
    /// The connection to the master broke, and it was not heard since.
    master_gone: bool,
    /// The version of the master's offsets that was copied.
    copied_version: u64,
}

/// Who asked, and as which of his questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Ask {
    from: NodeId,
    id: RequestId,
}

impl Ask {
    #[inline(always)]
    fn answer(self, response: Response, effects: &mut Effects) {
        effects.send(self.from, Message::CorgiResponse(self.id, Box::new(response)));
    }

    fn refuse(self, refusal: Refusal, effects: &mut Effects) {
        self.answer(Response::Refused(refusal), effects);
    }
}

impl Broker {
    /// The broker at that place of that set; the first of a set begins as its master.
    ///
    /// # Panics
    /// If the wiring has no such place.
    pub fn new(settings: Settings, wiring: Wiring, set: u16, index: u16) -> Broker {
        let brokers = wiring.brokers(set);
        let node = *brokers.get(usize::from(index)).expect("the wiring names every broker that is built");
        let role = if index == 0 { Role::Master } else { Role::Slave(brokers.first().copied()) };
        let durable = Durable {
            role,
            epoch: 1,
            fenced: false,
            log_epoch: 1,
            epoch_start: 0,
            log: Log::default(),
            offsets: LiteMap::new(),
            disk: Disk::default(),
            files: Files::default(),
            delays_stored: Waiting::default(),
            widened: Vec::new(),
        };
        Broker { settings, wiring, set, node, durable, volatile: Volatile::default() }
    }

    /// Whether it takes itself for the master.
    pub fn is_master(&self) -> bool {
        self.durable.role == Role::Master
    }

    /// The latest epoch that it has promised to obey.
    pub fn epoch(&self) -> Epoch {
        self.durable.epoch
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.durable.log
    }

    fn start(&mut self, now: Time, incarnation: u32, effects: &mut Effects) {
        self.volatile = Volatile {
            ids: RequestIds::new(incarnation, 0),
            offsets: self.durable.offsets.clone(),
            offsets_version: u64::from(incarnation) << 32,
            ..Volatile::default()
        };
        self.volatile.slave.heard_at = now;
        if self.report_loss(effects) && self.is_master() {
            self.record_mastership(effects);
        }
        self.arm_retention(effects);
        self.register(effects);
        effects.set_timer(REGISTER, self.settings.name_service.register_interval);
        // Nobody can hold a lease before the set's first master has ever run.
        let first = incarnation == 1 && self.durable.epoch == 1;
        match self.durable.role {
            Role::Master => self.begin_to_serve(now, !first, effects),
            Role::Slave(_) => self.begin_to_follow(now, effects),
        }
    }

    fn request(&mut self, now: Time, ask: Ask, request: Request, effects: &mut Effects) {
        match request {
            Request::Send { partition, records } => self.store(now, ask, partition, records, effects),
            Request::Pull { group, partition, offset, max_records } => {
                self.pull(now, ask, (group, partition, offset, max_records), effects);
            }
            Request::Offsets { group, partitions } => self.tell_offsets(ask, group, partitions, effects),
            Request::Commit { group, offsets } => self.commit(now, ask, group, &offsets, effects),
            Request::Lock { group, partitions } => self.lock(now, ask, group, &partitions, effects),
            Request::Unlock { group, partitions } => self.unlock(ask, group, &partitions, effects),
            Request::Heartbeat { group } => self.hear_member(now, ask, group, effects),
            Request::Leave { group, offsets } => self.leave(now, ask, group, &offsets, effects),
            Request::Follow { epoch, end, history } => self.admit(now, ask, epoch, (end, &history), effects),
            Request::Append { epoch, position, entries } => {
                self.append(now, ask, (epoch, position), &entries, effects);
            }
            Request::Replicated { epoch, end, heartbeat } => {
                self.replicated(now, ask, epoch, (end, heartbeat), effects);
            }
            Request::CopyDelays => self.tell_delays(ask, effects),
            Request::CopyOffsets { version } => self.tell_offset_table(ask, version, effects),
            Request::Status => self.tell_status(now, ask, effects),
            Request::Fence { epoch } => self.fence(ask, epoch, effects),
            Request::Promote { epoch } => self.promote(now, ask, epoch, effects),
            Request::FollowMaster { master, epoch } => self.obey(now, ask, (master, epoch), effects),
            Request::Widen { topic } => self.widen(ask, topic, effects),
            Request::Shapes { topics } => self.copy_shapes(ask, &topics, effects),
            Request::ResetOffsets { group, topics, to } => {
                self.reset_offsets(ask, group, &topics, to, effects);
            }
            Request::Route | Request::Register { .. } | Request::Seen { .. } | Request::Members { .. } => {}
        }
    }

    fn response(
        &mut self,
        now: Time,
        from: NodeId,
        id: RequestId,
        response: Response,
        effects: &mut Effects,
    ) {
        // An answer to an earlier life says nothing to this one.
        if !self.volatile.ids.issued(id) {
            return;
        }
        match response {
            Response::Register { master } => self.learn(now, master, effects),
            Response::Follow { epoch, position, epoch_start } => {
                self.attach(now, (from, id), epoch, (position, epoch_start), effects);
            }
            Response::FollowFrom { epoch, epoch_start, beginning } => {
                self.begin_late((from, id), epoch, &beginning, effects);
                self.attach(now, (from, id), epoch, (beginning.position, epoch_start), effects);
            }
            Response::Replicated => self.hear_master(now, from),
            Response::CopyOffsets { version, offsets } => self.take_offsets(from, version, offsets, effects),
            Response::CopyDelays { stored } => self.take_delays(from, stored),
            Response::Refused(refusal) => self.refused(now, from, refusal, effects),
            _ => {}
        }
    }

    fn timer(&mut self, now: Time, timer: Timer, effects: &mut Effects) {
        match timer {
            REGISTER => {
                self.register(effects);
                self.expire_members(now, effects);
                self.drop_silent(now, effects);
                effects.set_timer(REGISTER, self.settings.name_service.register_interval);
            }
            FOLLOW => self.keep_following(now, effects),
            COPY_OFFSETS => self.copy_offsets(effects),
            FLUSH_OFFSETS => self.flush_offsets(),
            DEADLINE => self.meet_deadlines(now, effects),
            PROBE => self.probe(now, effects),
            SETTLE => self.settle(effects),
            DUE => self.store_due(now, effects),
            FLUSH_DELAYS => self.flush_delays(),
            RETENTION => self.delete_old_files(now, effects),
            _ => {}
        }
    }

    fn disconnected(&mut self, node: NodeId, effects: &mut Effects) {
        if self.is_master() {
            self.volatile.master.followers.remove(&node);
            for (_, parked) in self.volatile.master.parked.iter_mut() {
                parked.retain(|pull| pull.ask.from != node);
            }
            for group in self.volatile.master.groups.drop_node(node) {
                self.tell_members(group, None, effects);
            }
        } else if self.durable.role == Role::Slave(Some(node)) {
            self.volatile.slave.attached = false;
            self.volatile.slave.master_gone = true;
        }
    }

    fn length(&self) -> Length {
        Length { epoch: self.durable.log_epoch, end: self.durable.log.end() }
    }

    fn report(&self) -> Report {
        let groups = &self.volatile.master.groups;
        let count = |group: GroupId| (group, groups.members(group).len() as u32);
        let partitions = self.partitions_in_use();
        Report::Corgi {
            master: self.is_master(),
            ends: partitions
                .map(|partition| (partition, self.durable.log.partition_end(partition)))
                .collect(),
            committed: self.offset_table(),
            members: groups.groups().into_iter().map(count).collect(),
            delayed: self.delayed(),
        }
    }

    /// Tells the name service of itself; the answer may tell it of its set's master.
    fn register(&mut self, effects: &mut Effects) {
        self.tell_shapes(self.wiring.name_service, effects);
        let (set, epoch, master) = (self.set, self.durable.epoch, self.is_master());
        self.ask(self.wiring.name_service, Request::Register { set, master, epoch }, effects);
    }

    // In line, like the answers: a message is built in the box in which it travels.
    #[inline(always)]
    fn ask(&mut self, node: NodeId, request: Request, effects: &mut Effects) -> RequestId {
        let id = self.volatile.ids.next_id();
        effects.send(node, Message::CorgiRequest(id, Box::new(request)));
        id
    }

    fn record_leadership(&self, effects: &mut Effects) {
        if let Some(partition) = self.first_partition() {
            effects.record(Event::LeaderChanged {
                queue: crate::record::Queue::Corgi,
                partition,
                leader: Some(self.node),
                epoch: i64::from(self.durable.epoch),
            });
            self.record_mastership(effects);
        }
    }

    /// Tells the history what a master has at the beginning: of all partitions that it knows or has something of.
    fn record_mastership(&self, effects: &mut Effects) {
        let has = |at: TopicPartition| (at, self.durable.log.partition_end(at));
        let known = self.wiring.partitions(self.set).chain(self.widened_partitions()).map(has);
        let all: BTreeMap<TopicPartition, Offset> = known.chain(self.durable.log.partition_ends()).collect();
        effects.record(Event::MastershipTaken { partitions: all.into_iter().collect() });
    }
}

impl Machine for Broker {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let now = now.elapsed;
        let all_was_synced = self.sync_begins(now);
        match input {
            Input::Start { incarnation } => self.start(now, incarnation, effects),
            Input::Message { from, message } => match message {
                Message::CorgiRequest(id, request) => self.request(now, Ask { from, id }, *request, effects),
                Message::CorgiResponse(id, response) => self.response(now, from, id, *response, effects),
                Message::ReportRequest(id) => {
                    effects.send(from, Message::Report(id, Box::new(self.report())))
                }
                _ => {}
            },
            Input::Timer(timer) => self.timer(now, timer, effects),
            Input::Disconnected(node) => self.disconnected(node, effects),
            Input::Terminate => {
                self.flush_offsets();
                effects.processes.push(Process::Exit);
            }
            Input::Incident(Incident::DiskFilled) => self.volatile.disk_is_full = true,
            Input::Incident(Incident::DiskFreed) => self.disk_freed(now, effects),
            Input::Incident(_) | Input::Placed(_) | Input::Unreachable(_) => {}
        }
        self.sync_ends(now, all_was_synced);
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, now: Now, loss: DiskLoss) {
        self.sync_begins(now.elapsed);
        self.lose_from_disk(loss);
    }
}
