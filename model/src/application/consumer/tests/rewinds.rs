//! Registration in Redis, and commands to go back.

use super::*;
use crate::application::consumer_settings::RewindSettings;
use crate::redis::{self, Key, Request};
use crate::rewind::{self, Address, Answer, Command, HostId, InstanceId, Refusal, Registration};

const OPERATOR: NodeId = NodeId(9);
const LIFE: InstanceId = InstanceId { node: OWN, incarnation: 1 };

fn registration(incarnation: u32) -> Registration {
    let instance = InstanceId { node: OWN, incarnation };
    Registration { group: GROUP, address: Address::own(OWN), instance }
}

fn settings(rewind: RewindSettings) -> Settings {
    Settings { rewind, ..Settings::default() }
}

/// An instance that reads from Kafka, owns both partitions and has processed three records of each.
fn reading(rewind: RewindSettings) -> Bench {
    let mut bench = Bench::upgraded(settings(rewind), true);
    for partition in [FIRST, SECOND] {
        bench.buffer(partition, 0..3);
        (0..3).for_each(|_| bench.finish(timer_index(partition)));
    }
    bench
}

/// The next repetition of a command.
fn command(
    bench: &mut Bench,
    rewind: u64,
    to: Registration,
    offsets: &[(TopicPartition, Offset)],
) -> Vec<Answer> {
    bench.attempts += 1;
    repeated(bench, (rewind, bench.attempts), to, offsets)
}

fn repeated(
    bench: &mut Bench,
    (rewind, attempt): (u64, u32),
    to: Registration,
    offsets: &[(TopicPartition, Offset)],
) -> Vec<Answer> {
    let valid_until = Some(Time::ZERO + Span::secs(10));
    take(bench, Command { rewind, attempt, valid_until, to, offsets: offsets.to_vec() })
}

fn take(bench: &mut Bench, command: Command) -> Vec<Answer> {
    let message = Message::Rewind(Box::new(rewind::Message::Command(command)));
    bench.step(Input::Message { from: OPERATOR, message });
    answers(bench)
}

fn answers(bench: &Bench) -> Vec<Answer> {
    let answer = |(to, message): &(NodeId, Message)| match message {
        Message::Rewind(message) if *to == OPERATOR => match &**message {
            rewind::Message::Answer(answer) => Some(answer.clone()),
            rewind::Message::Command(_) => None,
        },
        _ => None,
    };
    bench.last.sends.iter().filter_map(answer).collect()
}

fn told_redis(effects: &Effects) -> Vec<Request> {
    let request = |(to, message): &(NodeId, Message)| match message {
        Message::Redis(message) if *to == REDIS => match &**message {
            redis::Message::Request(_, request) => Some(request.clone()),
            redis::Message::Response(..) => None,
        },
        _ => None,
    };
    effects.sends.iter().filter_map(request).collect()
}

fn sought(bench: &Bench) -> Vec<(u16, Offset, Offset)> {
    let sought = |event: &Event| match event {
        Event::Sought { partition, from, to, .. } => Some((partition.partition, *from, *to)),
        _ => None,
    };
    bench.events.iter().filter_map(sought).collect()
}

#[test]
fn it_says_where_it_is_as_long_as_it_reads_from_kafka() {
    let mut bench = Bench::new(Settings::default(), true, true);
    bench.push(Queue::Corgi, false);
    assert!(told_redis(&bench.last).is_empty());
    bench.push(Queue::Kafka, false);
    let key = Key { group: GROUP, instance: LIFE };
    let set = Request::Set { key, value: registration(1), time_to_live: Span::secs(30) };
    assert_eq!(told_redis(&bench.last), std::slice::from_ref(&set));
    assert!(bench.last.timers.contains(&TimerEffect::Set(REGISTER, After::Exactly(Span::secs(10)))));
    bench.step(Input::Timer(REGISTER));
    assert_eq!(told_redis(&bench.last), [set]);
    bench.step(Input::Terminate);
    assert_eq!(told_redis(&bench.last), [Request::Delete { key }]);
    assert!(bench.last.timers.contains(&TimerEffect::Cancel(REGISTER)));
}

#[test]
fn an_old_client_says_nothing_and_a_new_life_has_a_new_id_at_the_old_port() {
    let bench = Bench::ordered();
    assert!(told_redis(&bench.last).is_empty());
    let mut bench = Bench::new(Settings::default(), true, true);
    bench.application.crash();
    bench.step(Input::Start { incarnation: 2 });
    bench.push(Queue::Kafka, false);
    let [Request::Set { value, .. }] = told_redis(&bench.last)[..] else { panic!("{:?}", bench.last) };
    assert_eq!(value, registration(2));
}

#[test]
fn it_says_the_address_that_this_life_was_given() {
    let mut bench = Bench::new(Settings::default(), true, true);
    let given = Address { host: HostId(2), port: 9_001 };
    bench.step(Input::Placed(given));
    bench.push(Queue::Kafka, false);
    let [Request::Set { value, .. }] = told_redis(&bench.last)[..] else { panic!("{:?}", bench.last) };
    assert_eq!(value, Registration { address: given, ..registration(1) });
    bench.application.crash();
    bench.step(Input::Start { incarnation: 2 });
    bench.step(Input::Placed(Address { port: 9_000, ..given }));
    bench.push(Queue::Kafka, false);
    let [Request::Set { value, .. }] = told_redis(&bench.last)[..] else { panic!("{:?}", bench.last) };
    assert_eq!((value.address.port, value.instance.incarnation), (9_000, 2));
}

#[test]
fn it_goes_back_in_what_it_owns_and_confirms_when_the_commit_is_acknowledged() {
    let mut bench = reading(RewindSettings::default());
    let elsewhere = TopicPartition::new(0, 5);
    let asked = [(FIRST, 1), (SECOND, 3), (elsewhere, 0)];
    assert!(command(&mut bench, 1, registration(1), &asked).is_empty());
    assert_eq!(sought(&bench), [(0, 3, 1)]);
    assert!(bench.asked(&Asked::Seek(FIRST, 1)));
    assert!(bench.asked(&Asked::Commit(vec![(FIRST, 1)])));
    assert!(!bench.asked(&Asked::Seek(SECOND, 3)));
    bench.opened().acknowledged.push(FIRST);
    bench.poke();
    assert!(answers(&bench).is_empty());
    bench.opened().acknowledged.push(SECOND);
    bench.poke();
    let outcome = Ok(vec![FIRST, SECOND]);
    assert_eq!(
        answers(&bench),
        [Answer { rewind: 1, attempt: 1, to: registration(1), outcome: outcome.clone() }]
    );
    // The same command once more changes nothing, and is answered.
    bench.buffer(FIRST, 1..2);
    let again = command(&mut bench, 1, registration(1), &asked);
    assert_eq!(again, [Answer { rewind: 1, attempt: 2, to: registration(1), outcome }]);
    assert_eq!(sought(&bench).len(), 1);
    assert_eq!(bench.delivered().last(), Some(&(0, 1)));
}

#[test]
fn what_is_in_process_at_the_seek_moves_nothing() {
    let mut bench = reading(RewindSettings::default());
    bench.buffer(FIRST, 3..4);
    command(&mut bench, 1, registration(1), &[(FIRST, 0)]);
    bench.finish(timer_index(FIRST));
    bench.step(Input::Timer(COMMIT));
    assert!(!bench.asked(&Asked::Commit(vec![(FIRST, 4)])));
}

#[test]
fn a_partition_that_is_lost_before_the_commit_is_acknowledged_is_not_confirmed() {
    let mut bench = reading(RewindSettings::default());
    command(&mut bench, 1, registration(1), &[(FIRST, 1)]);
    bench.tell(Assigned::Lost(vec![FIRST, SECOND]));
    bench.tell(Assigned::Granted(vec![(FIRST, 3)]));
    bench.poke();
    let outcome = Err(Refusal::NothingAssigned);
    assert_eq!(answers(&bench), [Answer { rewind: 1, attempt: 1, to: registration(1), outcome }]);
    // It goes back again when it is told again.
    bench.opened().acknowledged.clear();
    bench.opened().acknowledged.push(FIRST);
    command(&mut bench, 1, registration(1), &[(FIRST, 1)]);
    assert_eq!(sought(&bench).len(), 2);
}

#[test]
fn a_command_for_somebody_else_is_refused() {
    let mut bench = reading(RewindSettings::default());
    let refused = |answers: Vec<Answer>| answers.into_iter().map(|answer| answer.outcome).collect::<Vec<_>>();
    let offsets = [(FIRST, 1)];
    let other_life = command(&mut bench, 1, registration(7), &offsets);
    assert_eq!(refused(other_life), [Err(Refusal::OtherInstance)]);
    let other_group = Registration { group: GroupId(4), ..registration(1) };
    assert_eq!(refused(command(&mut bench, 1, other_group, &offsets)), [Err(Refusal::OtherInstance)]);
    // It has the address of one that died.
    let instance = InstanceId { node: NodeId(77), incarnation: 1 };
    let before = Registration { instance, ..registration(1) };
    assert_eq!(refused(command(&mut bench, 1, before, &offsets)), [Err(Refusal::OtherInstance)]);
    assert!(sought(&bench).is_empty());
    let mut reads_corgi = Bench::new(Settings::default(), true, true);
    reads_corgi.push(Queue::Corgi, false);
    assert_eq!(refused(command(&mut reads_corgi, 1, registration(1), &offsets)), [Err(Refusal::NotReading)]);
}

#[test]
fn without_the_checks_it_takes_any_command_and_confirms_at_once() {
    let rewind = RewindSettings { commit: false, check_instance: false, ..RewindSettings::default() };
    let mut bench = reading(rewind);
    let answered = command(&mut bench, 1, registration(7), &[(FIRST, 1)]);
    assert_eq!(answered, [Answer { rewind: 1, attempt: 1, to: registration(7), outcome: Ok(vec![FIRST]) }]);
    assert!(!bench.asked(&Asked::Commit(vec![(FIRST, 1)])));
    assert_eq!(sought(&bench), [(0, 3, 1)]);
    // It goes back in its own group's partitions for another's command.
    let instance = InstanceId { node: NodeId(77), incarnation: 1 };
    let of_others = Registration { group: GroupId(4), instance, ..registration(1) };
    let answered = command(&mut bench, 2, of_others, &[(FIRST, 0)]);
    assert_eq!(answered, [Answer { rewind: 2, attempt: 2, to: of_others, outcome: Ok(vec![FIRST]) }]);
    assert_eq!(sought(&bench), [(0, 3, 1), (0, 1, 0)]);
}

/// In an eager rebalance it has nothing between the revocation and the next grant.
#[test]
fn who_has_none_of_the_partitions_says_so() {
    let mut bench = reading(RewindSettings::default());
    bench.tell(Assigned::Revoked(vec![FIRST, SECOND]));
    let offsets = [(FIRST, 1), (SECOND, 1)];
    let answered = command(&mut bench, 1, registration(1), &offsets);
    let outcome = Err(Refusal::NothingAssigned);
    assert_eq!(answered, [Answer { rewind: 1, attempt: 1, to: registration(1), outcome }]);
    let refused =
        |event: &Event| matches!(event, Event::RewindRefused { because: Refusal::NothingAssigned, .. });
    assert!(bench.events.iter().any(refused));
    bench.tell(Assigned::Granted(vec![(FIRST, 3)]));
    command(&mut bench, 1, registration(1), &offsets);
    assert_eq!(sought(&bench), [(0, 3, 1)]);
}

/// The copy of a command comes late: when the partition was lost and came back, or for a rewind that another has followed.
#[test]
fn a_command_that_was_taken_or_overtaken_is_not_obeyed_again() {
    let mut bench = reading(RewindSettings::default());
    repeated(&mut bench, (1, 2), registration(1), &[(FIRST, 1)]);
    bench.tell(Assigned::Lost(vec![FIRST, SECOND]));
    bench.tell(Assigned::Granted(vec![(FIRST, 3)]));
    for late in [(1, 2), (1, 1)] {
        let answered = repeated(&mut bench, late, registration(1), &[(FIRST, 1)]);
        let refused = answered.iter().filter(|answer| answer.outcome == Err(Refusal::Outdated));
        assert_eq!(refused.count(), 1, "{late:?}");
    }
    assert_eq!(sought(&bench).len(), 1);
    repeated(&mut bench, (2, 1), registration(1), &[(FIRST, 2)]);
    repeated(&mut bench, (1, 3), registration(1), &[(FIRST, 0)]);
    assert_eq!(sought(&bench), [(0, 3, 1), (0, 3, 2)]);
}

/// Redis may list two lives at one address: each entry is told, and whoever does not check takes both.
#[test]
fn one_command_for_each_entry_of_redis_is_no_copy() {
    let rewind = RewindSettings { commit: false, check_instance: false, ..RewindSettings::default() };
    let mut bench = reading(rewind);
    for life in [7, 1] {
        let answered = repeated(&mut bench, (1, 1), registration(life), &[(FIRST, 1)]);
        assert_eq!(answered[0].outcome, Ok(vec![FIRST]));
    }
    assert_eq!(sought(&bench).len(), 1);
}

#[test]
fn a_command_that_comes_when_it_is_good_no_more_is_refused() {
    let command = |valid_until| {
        let offsets = vec![(FIRST, 1)];
        Command { rewind: 1, attempt: 1, valid_until, to: registration(1), offsets }
    };
    let mut bench = reading(RewindSettings::default());
    bench.wall = Time::ZERO + Span::secs(11);
    let answered = take(&mut bench, command(Some(Time::ZERO + Span::secs(10))));
    assert_eq!(answered[0].outcome, Err(Refusal::Expired));
    assert!(sought(&bench).is_empty());
    take(&mut bench, command(None));
    assert_eq!(sought(&bench).len(), 1);
}
