//! The world's cost per event, with history and checkers on, against a bare binary heap that steps the same machines.
//! Both run the standard service on Corgi, not migrated and without faults, for ten simulated minutes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cutover_benches::{bare, shipped};
use cutover_model::units::Time;
use cutover_sim::build;
use cutover_sim::case::Case;
use cutover_sim::run::{self, Keep};
use std::hint::black_box;

fn quiet() -> Case {
    Case { faults: Default::default(), ..shipped("baseline.toml") }
}

fn bare_heap(case: &Case) -> u64 {
    let (machines, running) = build::processes(case, 1);
    bare::run(machines, &running, Time::ZERO + case.duration)
}

fn world(criterion: &mut Criterion) {
    let case = quiet();
    let mut group = criterion.benchmark_group("event");
    group.throughput(Throughput::Elements(bare_heap(&case)));
    group.bench_function("bare-heap", |bencher| bencher.iter(|| bare_heap(black_box(&case))));
    group.throughput(Throughput::Elements(run::alone(&case, 1, Keep::default()).events));
    group
        .bench_function("world", |bencher| bencher.iter(|| run::alone(black_box(&case), 1, Keep::default())));
    group.finish();
}

criterion_group!(benches, world);
criterion_main!(benches);
