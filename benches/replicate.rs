//! Produce -> replicate to two slaves -> acknowledge, in batches of 1, 10 and 100: Corgi's own machines in the world,
//! beside the same path as asynchronous services on madsim's `Endpoint` RPC.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cutover_benches::endpoint::endpoint_path;
use cutover_model::history::Event;
use cutover_sim::build;
use cutover_sim::case::Case;
use std::hint::black_box;

const BATCHES: u64 = 500;

/// One producer, one partition, one broker set whose both slaves acknowledge; every record is due at once.
fn case(batch: u64) -> Case {
    let records = BATCHES * batch;
    let text = format!(
        r#"
        name = "replicate"
        topics = [{{ name = "t", partitions = 1 }}]
        groups = [{{ name = "nobody", topics = ["t"], instances = 1 }}]
        [corgi]
        broker-sets = 1
        replication = "both"
        [producers]
        count = 1
        application = {{ max-outstanding = {batch}, start-without-switches = true }}
        corgi = {{ batch-records = {batch} }}
        [workload]
        records = {records}
        start = "1ms"
        end = "2ms"
        [network]
        within = {{ least = "1ms", most = "1ms" }}
        "#
    );
    Case::from_text("replicate.toml", &text).expect("the case is well-formed")
}

/// Step the world until every record is acknowledged. Returns how many were.
fn world_path(case: &Case, records: u64) -> u64 {
    let mut world = build::build(case, 1).world;
    let mut acknowledged = 0;
    while acknowledged < records && world.step() {
        let entries = world.drain_history();
        acknowledged +=
            entries.filter(|entry| matches!(entry.event, Event::Acknowledged { .. })).count() as u64;
    }
    acknowledged
}

fn replicate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replicate");
    group.sample_size(20);
    for batch in [1, 10, 100] {
        let (case, records) = (case(batch), BATCHES * batch);
        assert_eq!(world_path(&case, records), records, "every record is acknowledged");
        group.throughput(Throughput::Elements(records));
        group.bench_function(BenchmarkId::new("world", batch), |bencher| {
            bencher.iter(|| world_path(black_box(&case), records));
        });
        group.bench_function(BenchmarkId::new("endpoint", batch), |bencher| {
            bencher.iter(|| endpoint_path(BATCHES, black_box(batch)));
        });
    }
    group.finish();
}

criterion_group!(benches, replicate);
criterion_main!(benches);
