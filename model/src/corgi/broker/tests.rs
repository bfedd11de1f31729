//! Dialogues with one broker.

use super::*;
use crate::corgi::log::Entry;
use crate::corgi::protocol::{ResetTo, SendStatus};
use crate::corgi::settings::{BeyondEnd, Replication, Visible};
use crate::corgi::wiring::Topic;
use crate::history::Event;
use crate::machine::TimerEffect;
use crate::record::{Record, TopicId};
use crate::units::Bytes;

const MASTER: NodeId = NodeId(10);
const SLAVES: [NodeId; 2] = [NodeId(11), NodeId(12)];
const CLIENT: NodeId = NodeId(20);
const ON_CALL: NodeId = NodeId(1);
const PLACE: TopicPartition = TopicPartition::new(0, 0);

struct Dialogue {
    broker: Broker,
    now: Time,
    number: u32,
    effects: Effects,
}

impl Dialogue {
    fn with(index: u16, settings: Settings) -> Dialogue {
        let wiring = Wiring {
            name_service: NodeId(0),
            on_call: ON_CALL,
            standby_sets: 0,
            sets: vec![vec![MASTER, SLAVES[0], SLAVES[1]]],
            topics: vec![Topic::spread(TopicId(0), 2, 1)],
        };
        let broker = Broker::new(settings, wiring, 0, index);
        let mut dialogue = Dialogue { broker, now: Time::ZERO, number: 0, effects: Effects::default() };
        dialogue.input(Input::Start { incarnation: 1 });
        dialogue
    }

    fn input(&mut self, input: Input) -> Vec<(NodeId, Message)> {
        self.effects.clear();
        self.broker.step(Now::exact(self.now), input, &mut self.effects);
        self.effects.sends.clone()
    }

    fn wait(&mut self, span: Span) {
        self.now += span;
    }

    /// Asks as that node, and returns the answers to that node.
    fn ask(&mut self, from: NodeId, request: Request) -> Vec<Response> {
        self.number += 1;
        let id = RequestId::new(1, 0, self.number);
        let message = Message::CorgiRequest(id, Box::new(request));
        answers(self.input(Input::Message { from, message }), from)
    }

    fn send(&mut self) -> Vec<Response> {
        self.ask(CLIENT, Request::Send { partition: PLACE, records: vec![Record::default()] })
    }

    fn pull(&mut self, offset: Offset) -> Vec<Response> {
        self.ask(CLIENT, Request::Pull { group: GroupId(0), partition: PLACE, offset, max_records: 10 })
    }

    fn follow(&mut self, slave: NodeId, history: Vec<(Epoch, u64)>, end: u64) -> Vec<Response> {
        self.ask(slave, Request::Follow { epoch: 1, end, history })
    }

    fn replicated(&mut self, slave: NodeId, end: u64) -> Vec<(NodeId, Message)> {
        self.ask(slave, Request::Replicated { epoch: 1, end, heartbeat: false });
        self.effects.sends.clone()
    }
}

fn answers(sends: Vec<(NodeId, Message)>, to: NodeId) -> Vec<Response> {
    let mine = sends.into_iter().filter(|(node, _)| *node == to);
    mine.filter_map(|(_, message)| match message {
        Message::CorgiResponse(_, response) => Some(*response),
        _ => None,
    })
    .collect()
}

fn requests(sends: &[(NodeId, Message)], to: NodeId) -> Vec<Request> {
    let mine = sends.iter().filter(|(node, _)| *node == to);
    mine.filter_map(|(_, message)| match message {
        Message::CorgiRequest(_, request) => Some((**request).clone()),
        _ => None,
    })
    .collect()
}

fn stored(status: SendStatus, offset: Offset) -> Vec<Response> {
    vec![Response::Send { status, offset }]
}

#[test]
fn a_send_is_answered_when_any_one_slave_has_it() {
    let mut dialogue = Dialogue::with(0, Settings::default());
    dialogue.follow(SLAVES[0], vec![], 0);
    dialogue.follow(SLAVES[1], vec![], 0);
    assert_eq!(dialogue.send(), []);
    assert_eq!(requests(&dialogue.effects.sends, SLAVES[0]).len(), 1, "pushed to both at once");
    assert_eq!(requests(&dialogue.effects.sends, SLAVES[1]).len(), 1);
    let sends = dialogue.replicated(SLAVES[1], 1);
    assert_eq!(answers(sends, CLIENT), stored(SendStatus::Ok, 0));
}

#[test]
fn both_means_both() {
    let mut dialogue = Dialogue::with(0, Settings { replication: Replication::Both, ..Settings::default() });
    dialogue.follow(SLAVES[0], vec![], 0);
    dialogue.follow(SLAVES[1], vec![], 0);
    dialogue.send();
    let sends = dialogue.replicated(SLAVES[1], 1);
    assert_eq!(answers(sends, CLIENT), []);
    let sends = dialogue.replicated(SLAVES[0], 1);
    assert_eq!(answers(sends, CLIENT), stored(SendStatus::Ok, 0));
}

#[test]
fn a_silent_slave_costs_three_seconds_and_after_twenty_nothing() {
    let mut dialogue = Dialogue::with(0, Settings::default());
    dialogue.follow(SLAVES[0], vec![], 0);
    assert_eq!(dialogue.send(), []);
    dialogue.wait(Span::secs(3));
    let sends = dialogue.input(Input::Timer(DEADLINE));
    assert_eq!(answers(sends, CLIENT), stored(SendStatus::FlushSlaveTimeout, 0));
    dialogue.wait(Span::secs(17));
    assert_eq!(dialogue.send(), stored(SendStatus::SlaveNotAvailable, 1), "e1: stored all the same");
    assert_eq!(dialogue.broker.log().end(), 2);
}

#[test]
fn a_slave_that_is_silent_for_twenty_seconds_is_sent_nothing_more_and_has_to_follow_anew() {
    let mut dialogue = Dialogue::with(0, Settings::default());
    dialogue.follow(SLAVES[0], vec![], 0);
    dialogue.follow(SLAVES[1], vec![], 0);
    dialogue.wait(Span::secs(19));
    dialogue.send();
    assert_eq!(requests(&dialogue.effects.sends, SLAVES[0]).len(), 1, "its connection is still open");
    assert_eq!(dialogue.effects.processes, []);
    dialogue.replicated(SLAVES[1], 1);
    dialogue.wait(Span::secs(1));
    dialogue.send();
    assert_eq!(requests(&dialogue.effects.sends, SLAVES[0]), []);
    assert_eq!(requests(&dialogue.effects.sends, SLAVES[1]).len(), 1, "this one was heard");
    assert_eq!(dialogue.effects.processes, [Process::Disconnect(SLAVES[0])]);
    let late = Request::Replicated { epoch: 1, end: 1, heartbeat: true };
    assert_eq!(dialogue.ask(SLAVES[0], late), [Response::Refused(Refusal::NotFollowing)]);
}

#[test]
fn readers_are_shown_what_is_acknowledged_or_what_is_stored() {
    let mut prudent = Dialogue::with(0, Settings::default());
    prudent.follow(SLAVES[0], vec![], 0);
    assert_eq!(prudent.pull(0), []);
    prudent.send();
    assert_eq!(answers(prudent.effects.sends.clone(), CLIENT), []);
    let sends = prudent.replicated(SLAVES[0], 1);
    assert_eq!(answers(sends, CLIENT).len(), 2, "the send and the waiting pull");

    let mut hasty = Dialogue::with(0, Settings { visible: Visible::Stored, ..Settings::default() });
    hasty.pull(0);
    hasty.send();
    let answered = answers(hasty.effects.sends.clone(), CLIENT);
    assert!(
        answered.iter().any(|answer| matches!(answer, Response::Pull { records, .. } if records.len() == 1))
    );
}

#[test]
fn a_pull_waits_and_a_reader_beyond_the_end_is_sent_back() {
    let mut dialogue = Dialogue::with(0, Settings::default());
    assert_eq!(dialogue.pull(0), []);
    dialogue.wait(Span::secs(15));
    let sends = dialogue.input(Input::Timer(DEADLINE));
    assert_eq!(answers(sends, CLIENT), [Response::Pull { offset: 0, records: vec![] }]);
    dialogue.send();
    assert_eq!(dialogue.pull(1), [], "at the end, though nothing is shown yet");
    assert_eq!(dialogue.pull(7), [Response::Moved { offset: 1 }]);
    let mut older = Dialogue::with(0, Settings { beyond_end: BeyondEnd::Start, ..Settings::default() });
    older.send();
    assert_eq!(older.pull(7), [Response::Moved { offset: 0 }]);
}

#[test]
fn a_returning_node_is_cut_or_acknowledges_what_it_does_not_have() {
    let mut dialogue = Dialogue::with(0, Settings::default());
    dialogue.send();
    let answer = dialogue.follow(SLAVES[0], vec![(1, 0), (9, 1)], 5);
    assert_eq!(answer, [Response::Follow { epoch: 1, position: 1, epoch_start: 0 }]);

    let mut trusting = Dialogue::with(0, Settings { truncate_on_return: false, ..Settings::default() });
    trusting.follow(SLAVES[0], vec![(9, 0)], 5);
    trusting.replicated(SLAVES[0], 5);
    assert_eq!(trusting.send(), []);
    let sends = trusting.replicated(SLAVES[0], 5);
    assert_eq!(answers(sends, CLIENT), stored(SendStatus::Ok, 0), "e3: with none of it on the slave");
}

#[test]
fn a_slave_appends_in_order_asks_for_what_it_misses_and_skips_what_it_has() {
    let mut slave = Dialogue::with(1, Settings::default());
    let followed = slave.effects.sends.iter().find_map(|(node, message)| match message {
        Message::CorgiRequest(id, _) if *node == MASTER => Some(*id),
        _ => None,
    });
    let response = Box::new(Response::Follow { epoch: 1, position: 0, epoch_start: 0 });
    let message = Message::CorgiResponse(followed.expect("it asks to follow"), response);
    slave.input(Input::Message { from: MASTER, message });
    let entry = Entry { epoch: 1, partition: PLACE, record: Record::default(), due: None };
    let append = |position, count| Request::Append { epoch: 1, position, entries: vec![entry; count] };
    for (position, count, end) in [(0, 2, 2), (1, 2, 3), (0, 1, 3)] {
        slave.ask(MASTER, append(position, count));
        let expected = Request::Replicated { epoch: 1, end, heartbeat: false };
        assert_eq!(requests(&slave.effects.sends, MASTER), [expected]);
    }
    slave.wait(Span::secs(2));
    slave.ask(MASTER, append(7, 1));
    assert!(matches!(requests(&slave.effects.sends, MASTER)[..], [Request::Follow { end: 3, .. }]));
    assert_eq!(slave.broker.log().end(), 3);
}

#[test]
fn a_fenced_slave_tells_the_old_master_which_steps_down() {
    let mut slave = Dialogue::with(1, Settings::default());
    let answer = slave.ask(ON_CALL, Request::Fence { epoch: 2 });
    assert!(matches!(answer[..], [Response::Done { epoch: 2, .. }]));
    let refused = slave.ask(MASTER, Request::Append { epoch: 1, position: 0, entries: vec![] });
    assert_eq!(refused, [Response::Refused(Refusal::Stale(2))]);

    let mut master = Dialogue::with(0, Settings::default());
    master.follow(SLAVES[0], vec![], 0);
    master.send();
    let id = master.effects.sends.iter().find_map(|(node, message)| match message {
        Message::CorgiRequest(id, _) if *node == SLAVES[0] => Some(*id),
        _ => None,
    });
    let response = Box::new(Response::Refused(Refusal::Stale(2)));
    let message = Message::CorgiResponse(id.expect("it pushed"), response);
    let sends = master.input(Input::Message { from: SLAVES[0], message });
    assert!(!master.broker.is_master());
    assert_eq!(answers(sends, CLIENT), stored(SendStatus::FlushSlaveTimeout, 0));
    assert_eq!(master.send(), [Response::Refused(Refusal::NotMaster)]);
}

#[test]
fn a_promotion_is_done_once_and_late_orders_change_nothing() {
    let mut slave = Dialogue::with(1, Settings::default());
    slave.ask(ON_CALL, Request::Fence { epoch: 2 });
    slave.ask(ON_CALL, Request::Promote { epoch: 2 });
    assert!(slave.broker.is_master());
    assert!(
        matches!(
            slave.effects.events[..],
            [Event::LeasesAwaited { .. }, Event::LeaderChanged { .. }, Event::MastershipTaken { .. }]
        ),
        "{:?}",
        slave.effects.events
    );
    slave.ask(ON_CALL, Request::Promote { epoch: 2 });
    assert_eq!(slave.effects.events, []);
    assert_eq!(slave.ask(ON_CALL, Request::Fence { epoch: 2 }), [Response::Refused(Refusal::Stale(2))]);
    slave.ask(ON_CALL, Request::FollowMaster { master: SLAVES[1], epoch: 2 });
    assert!(slave.broker.is_master());
}

#[test]
fn a_role_survives_a_crash_but_waiting_sends_and_late_commits_do_not() {
    let mut master = Dialogue::with(0, Settings::default());
    let offsets = vec![(PLACE, 5)];
    master.ask(CLIENT, Request::Commit { group: GroupId(0), offsets });
    assert!(master.effects.timers.iter().any(|timer| matches!(timer, TimerEffect::Set(FLUSH_OFFSETS, _))));
    master.input(Input::Timer(FLUSH_OFFSETS));
    master.ask(CLIENT, Request::Commit { group: GroupId(0), offsets: vec![(PLACE, 9)] });
    master.send();
    master.broker.crash();
    master.input(Input::Start { incarnation: 2 });
    assert!(master.broker.is_master());
    assert_eq!(master.broker.log().end(), 1, "e11");
    let told = master.ask(CLIENT, Request::Offsets { group: GroupId(0), partitions: vec![PLACE] });
    assert_eq!(told, [Response::Offsets { offsets: vec![(PLACE, Some(5))] }], "e5: up to 5 s back");
    let granted = master.ask(CLIENT, Request::Lock { group: GroupId(0), partitions: vec![(PLACE, false)] });
    assert_eq!(granted, [Response::Lock { granted: vec![] }], "somebody may hold it");
}

#[test]
fn an_unknown_partition_is_refused() {
    let mut master = Dialogue::with(0, Settings::default());
    let partition = TopicPartition::new(0, 9);
    let answer = master.ask(CLIENT, Request::Send { partition, records: vec![] });
    assert_eq!(answer, [Response::Refused(Refusal::UnknownPartition)]);
}

#[test]
fn a_record_over_the_limit_is_refused_with_its_whole_send() {
    let settings = Settings { max_record_bytes: Bytes(1_000), ..Settings::default() };
    let mut master = Dialogue::with(0, settings);
    let record = |bytes| Record { bytes, ..Record::default() };
    let records = vec![record(10), record(1_001)];
    let answer = master.ask(CLIENT, Request::Send { partition: PLACE, records });
    assert_eq!(answer, [Response::Refused(Refusal::TooLarge)]);
    assert_eq!(master.broker.log().end(), 0);
    master.ask(CLIENT, Request::Send { partition: PLACE, records: vec![record(1_000)] });
    assert_eq!(master.broker.log().end(), 1);
}

/// Three records, of which the last came late by a mirror: the first that is young enough counts, and the end where none is.
#[test]
fn a_groups_offsets_are_set_by_the_time_at_which_records_were_created() {
    let mut master = Dialogue::with(0, Settings::default());
    let created = |seconds| Record { created_at: Time::ZERO + Span::secs(seconds), ..Record::default() };
    let records = vec![created(10), created(20), created(15)];
    master.ask(CLIENT, Request::Send { partition: PLACE, records });
    let (group, topics) = (GroupId(3), vec![TopicId(0)]);
    let mut set = |to| {
        let reset = Request::ResetOffsets { group, topics: topics.clone(), to };
        let answer = master.ask(CLIENT, reset);
        let [Response::OffsetsReset { offsets }] = &answer[..] else { panic!("{answer:?}") };
        let asked = master.ask(CLIENT, Request::Offsets { group, partitions: vec![PLACE] });
        assert_eq!(asked, [Response::Offsets { offsets: vec![(PLACE, Some(offsets[0].1))] }]);
        assert_eq!(offsets[1], (TopicPartition::new(0, 1), 0), "an empty partition");
        offsets[0].1
    };
    let at = |seconds| ResetTo::CreatedAt(Time::ZERO + Span::secs(seconds));
    assert_eq!([at(5), at(12), at(20), at(21)].map(&mut set), [0, 1, 1, 3]);
    assert_eq!([ResetTo::Earliest, ResetTo::Latest].map(&mut set), [0, 3]);
    let mut slave = Dialogue::with(1, Settings::default());
    let reset = Request::ResetOffsets { group, topics, to: ResetTo::Earliest };
    assert_eq!(slave.ask(CLIENT, reset), [Response::Refused(Refusal::NotMaster)]);
}

/// The master is started again. Returns what the history is told when the name service names the set's master.
fn restarted(listed: NodeId, epoch: Epoch) -> Vec<Event> {
    let mut dialogue = Dialogue::with(0, Settings::default());
    dialogue.broker.crash();
    let sends = dialogue.input(Input::Start { incarnation: 2 });
    assert_eq!(dialogue.effects.events, [], "whose leases it would wait for it does not know yet");
    let register = sends.iter().find_map(|(to, message)| match message {
        Message::CorgiRequest(id, request) => {
            let is_report = *to == NodeId(0) && matches!(**request, Request::Register { .. });
            is_report.then_some(*id)
        }
        _ => None,
    });
    let response = Response::Register { master: Some((listed, epoch)) };
    let message = Message::CorgiResponse(register.expect("a broker reports itself"), Box::new(response));
    dialogue.wait(Span::secs(1));
    dialogue.input(Input::Message { from: NodeId(0), message });
    dialogue.effects.events.clone()
}

#[test]
fn a_returning_master_waits_for_leases_only_if_it_has_no_successor() {
    let awaited = Event::LeasesAwaited { partition: PLACE, span: Span::secs(59) };
    assert_eq!(restarted(MASTER, 1), [awaited]);
    assert_eq!(restarted(SLAVES[0], 2), []);
}
