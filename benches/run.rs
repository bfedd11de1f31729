//! One run of a shipped case: alone, and with its twin without the migration as `check` and `replay` do it.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cutover_benches::shipped;
use cutover_sim::run::{self, Keep};
use std::hint::black_box;

fn one_run(criterion: &mut Criterion) {
    for name in ["baseline", "article-guarded"] {
        let case = shipped(&format!("{name}.toml"));
        let result = run::alone(&case, 1, Keep::default());
        let mut group = criterion.benchmark_group(format!("run/{name}"));
        group.sample_size(20).throughput(Throughput::Elements(result.records));
        group.bench_function("alone", |bencher| {
            bencher.iter(|| run::alone(black_box(&case), 1, Keep::default()));
        });
        group.bench_function("with-its-twin", |bencher| {
            bencher.iter(|| run::replay(black_box(&case), 1, Keep::default()));
        });
        group.finish();
    }
}

criterion_group!(benches, one_run);
criterion_main!(benches);
