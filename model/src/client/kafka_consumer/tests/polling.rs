//! What is fetched when, and handed out: Java sends its fetches from a poll alone, behind what that has collected.

use super::*;

/// A member of two partitions that one broker leads.
fn of_one_leader(settings: Settings) -> Dialogue<KafkaConsumer> {
    let mut dialogue = started_on(settings, [1, 1]);
    join(&mut dialogue, 5, &[(P0, 10), (P1, 20)]);
    dialogue.library.assigned();
    dialogue
}

fn receive_from(dialogue: &mut Dialogue<KafkaConsumer>, partition: TopicPartition) -> Option<Offset> {
    let received = dialogue.call(|consumer, now, effects| consumer.receive_from(now, partition, effects));
    received.map(|received| received.offset)
}

#[test]
fn a_poll_fetches_behind_what_it_has_collected() {
    let mut dialogue = member(earliest(), &[(P0, 10), (P1, 20)]);
    let first = take_fetch(&mut dialogue, 1);
    assert_eq!(asked_offset(&first), [(P0, 10)]);
    dialogue.answer(&first, fetch_answer(fetched(P0, 10..13)));
    assert_eq!(dialogue.names(), ["fetch"], "the other broker's: this one's waits for the poll");
    assert_eq!(receive(&mut dialogue), Some(10));
    let second = take_fetch(&mut dialogue, 1);
    assert_eq!(asked_offset(&second), [(P0, 13)]);
    dialogue.answer(&second, fetch_answer(fetched(P0, 13..14)));
    assert_eq!([receive(&mut dialogue), receive(&mut dialogue)], [Some(11), Some(12)]);
    assert_eq!(dialogue.names(), ["fetch"], "the owner has not polled again");
    assert_eq!(receive(&mut dialogue), Some(13));
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 14)]);
    assert_eq!(receive(&mut dialogue), None);
}

#[test]
fn no_partition_is_left_out_of_a_long_poll_because_another_had_records() {
    let mut dialogue = of_one_leader(earliest());
    let first = take_fetch(&mut dialogue, 1);
    dialogue.answer(&first, fetch_answer(fetched(P0, 10..12)));
    assert!(dialogue.names().is_empty());
    assert_eq!(receive(&mut dialogue), Some(10));
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 12), (P1, 20)]);

    let mut apart = of_one_leader(earliest());
    assert_eq!(receive_from(&mut apart, P0), None);
    let first = take_fetch(&mut apart, 1);
    apart.answer(&first, fetch_answer(fetched(P0, 10..12)));
    assert_eq!(asked_offset(&take_fetch(&mut apart, 1)), [(P0, 12), (P1, 20)], "its thread polls at once");
    assert_eq!([receive_from(&mut apart, P0), receive_from(&mut apart, P0)], [Some(10), Some(11)]);
}

#[test]
fn what_a_poll_takes_no_more_of_is_not_fetched_beyond() {
    let mut dialogue = of_one_leader(Settings { max_poll_records: 2, ..earliest() });
    let first = take_fetch(&mut dialogue, 1);
    dialogue.answer(&first, fetch_answer(fetched(P0, 10..13)));
    assert_eq!(receive(&mut dialogue), Some(10));
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P1, 20)]);

    // A thread that polls pauses a partition of which so many wait already.
    let mut apart = of_one_leader(Settings { max_poll_records: 2, ..earliest() });
    assert_eq!(receive_from(&mut apart, P0), None);
    for (range, asked) in [(10..12, vec![(P0, 12), (P1, 20)]), (12..13, vec![(P1, 20)])] {
        let fetch = take_fetch(&mut apart, 1);
        apart.answer(&fetch, fetch_answer(fetched(P0, range)));
        let next = apart.asked.last().expect("a fetch");
        assert_eq!(asked_offset(next), asked);
    }
    assert_eq!([receive_from(&mut apart, P0), receive_from(&mut apart, P0)], [Some(10), Some(11)]);
    let waiting = take_fetch(&mut apart, 1);
    apart.answer(&waiting, fetch_answer(fetched(P1, 20..20)));
    assert_eq!(asked_offset(&take_fetch(&mut apart, 1)), [(P0, 13), (P1, 20)], "it goes on: they were taken");
    assert_eq!(receive_from(&mut apart, P0), Some(12));
}

#[test]
fn records_that_a_poll_has_collected_outlive_a_log_that_diverges() {
    let mut dialogue = of_one_leader(earliest());
    let first = take_fetch(&mut dialogue, 1);
    dialogue.answer(&first, fetch_answer(fetched(P0, 10..14)));
    assert_eq!(receive(&mut dialogue), Some(10));
    let second = take_fetch(&mut dialogue, 1);
    assert_eq!(asked_offset(&second), [(P0, 14), (P1, 20)]);
    let mut diverging = fetched(P0, 0..0);
    diverging.diverging = Some((0, 12));
    dialogue.answer(&second, fetch_answer(diverging));
    let rest: Vec<_> = (0..3).map(|_| receive(&mut dialogue)).collect();
    assert_eq!(rest, [Some(11), Some(12), Some(13)], "they are in its hands");
    assert_eq!(receive(&mut dialogue), None);
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 12), (P1, 20)]);
}

/// KIP-320: what came from a leader that has a successor by now is thrown away, and read again when its successor was asked.
#[test]
fn what_was_fetched_before_an_election_is_not_collected_before_its_position_was_checked() {
    let mut dialogue = of_one_leader(earliest());
    let first = take_fetch(&mut dialogue, 1);
    dialogue.answer(&first, fetch_answer(fetched(P0, 10..12)));
    assert_eq!([receive(&mut dialogue), receive(&mut dialogue)], [Some(10), Some(11)]);
    let second = take_fetch(&mut dialogue, 1);
    dialogue.pass(Span::secs(1));
    let wrong = FetchedPartition { error: ErrorCode::NotLeaderOrFollower, ..fetched(P1, 0..0) };
    let partitions = vec![fetched(P0, 12..14), wrong];
    dialogue.answer(&second, Response::Fetch { partitions, throttle: Span::ZERO });
    dialogue.reply("metadata", metadata(&[(1, 1), (1, 0)]));
    assert_eq!(receive(&mut dialogue), None);
    let checked = Response::OffsetForLeaderEpoch { partitions: vec![(P0, ErrorCode::None, 0, 100)] };
    dialogue.reply("offset-for-leader-epoch", checked);
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 12), (P1, 20)]);
}
