//! One run of a shipped case: alone, and with its twin without the migration as `check` and `replay` do it. The runs are
//! those of several seeds in turn: one seed may have more to do than another.

use criterion::BatchSize::PerIteration;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cutover_benches::shipped;
use cutover_sim::run::{self, Keep};
use std::hint::black_box;

/// Of so many seeds, from 0 on, each gets its turn.
const SEEDS: u64 = 16;

fn one_run(criterion: &mut Criterion) {
    for name in ["baseline", "article-guarded"] {
        let case = shipped(&format!("{name}.toml"));
        let result = run::alone(&case, 0, Keep::default());
        let mut seeds = (0..SEEDS).cycle();
        let mut next = || seeds.next().unwrap_or_default();
        let mut group = criterion.benchmark_group(format!("run/{name}"));
        group.sample_size(20).throughput(Throughput::Elements(result.records));
        group.bench_function("alone", |bencher| {
            bencher.iter_batched(
                &mut next,
                |seed| run::alone(black_box(&case), seed, Keep::default()),
                PerIteration,
            );
        });
        group.bench_function("with-its-twin", |bencher| {
            bencher.iter_batched(
                &mut next,
                |seed| run::replay(black_box(&case), seed, Keep::default()),
                PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, one_run);
criterion_main!(benches);
