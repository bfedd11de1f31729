use super::*;
use crate::case::Case;
use cutover_model::record::Partitioner;

fn case(workload: &str) -> Case {
    let text = format!(
        "name = 'test'\nduration = '10m'\n[[topics]]\nname = 'orders'\npartitions = 8\n[[topics]]\nname = 'stock'\n\
         partitions = 4\n[[groups]]\nname = 'billing'\ntopics = ['orders']\ninstances = 2\n[workload]\n{workload}"
    );
    Case::from_text("test.toml", &text).unwrap()
}

fn all(workload: &Workload) -> Vec<Scheduled> {
    let mut all: Vec<Scheduled> = workload.producers.iter().flat_map(|sends| sends.iter().copied()).collect();
    all.sort_by_key(|scheduled| scheduled.at);
    all
}

#[test]
fn a_draw_depends_on_the_seed_alone() {
    let case = case("records = 500");
    let one = Workload::draw(&case, Streams::new(1));
    assert_eq!(one, Workload::draw(&case, Streams::new(1)));
    assert_ne!(one, Workload::draw(&case, Streams::new(2)));
    assert_eq!(one.records(), 500);
}

#[test]
fn records_lie_in_the_window_in_order_and_know_their_source() {
    let case = case("records = 2000\nstart = '10s'\nend = '8m'");
    let workload = Workload::draw(&case, Streams::new(3));
    for sends in &workload.producers {
        assert!(sends.windows(2).all(|pair| pair[0].at <= pair[1].at));
        for (place, Scheduled { at, record }) in sends.iter().enumerate() {
            assert!(*at >= Time::ZERO + Span::secs(10) && *at <= Time::ZERO + Span::secs(480));
            assert_eq!(record.id.sequence as usize, place);
            let count = case.topics[usize::from(record.topic.0)].partitions;
            assert_eq!(record.source, Partitioner::JavaHash.partition(&record.key, count));
        }
    }
    // Every source partition gets records from several producers: else real-time order would not be exercised.
    let first: std::collections::BTreeSet<u32> = all(&workload)
        .iter()
        .filter(|scheduled| scheduled.record.topic.0 == 0 && scheduled.record.source == 0)
        .map(|scheduled| scheduled.record.id.producer)
        .collect();
    assert!(first.len() > 1, "{first:?}");
}

#[test]
fn the_first_keys_come_more_often() {
    let workload = Workload::draw(&case("records = 5000\nkeys = 100\nzipf = 1.0"), Streams::new(1));
    let times = |key: u32| all(&workload).iter().filter(|scheduled| scheduled.record.key.id == key).count();
    // With 100 keys and exponent 1 the first has 1 / 5.187 of the records.
    assert!((900..1030).contains(&times(0)), "{}", times(0));
    assert!(times(0) > 5 * times(9));
}

#[test]
fn bursts_hold_their_share() {
    let workload = Workload::draw(
        &case(
            "records = 5000\nstart = '0s'\nend = '8m'\nbursts = { every = '2m', length = '10s', factor = 11 }",
        ),
        Streams::new(1),
    );
    let in_burst =
        all(&workload).iter().filter(|scheduled| scheduled.at.0 % 120_000_000 >= 110_000_000).count();
    // 10 s at 11 times against 110 s: half of them.
    assert!((2400..2600).contains(&in_burst), "{in_burst}");
}

#[test]
fn a_workload_can_be_written_out_and_read_back() {
    let mut case = case("records = 300");
    let drawn = Workload::draw(&case, Streams::new(5));
    case.workload.sends = Some(drawn.sends(&case));
    let again = Workload::draw(&case, Streams::new(6));
    assert_eq!(again.records(), 300);
    for (one, other) in drawn.producers.iter().zip(&again.producers) {
        for (one, other) in one.iter().zip(other.iter()) {
            assert_eq!(
                (one.at, one.record.id, one.record.source),
                (other.at, other.record.id, other.record.source)
            );
        }
    }
    let text = case.to_toml().unwrap();
    assert_eq!(Case::from_text("saved.toml", &text).unwrap(), case);
}
