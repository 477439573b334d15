use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};

use super::table::Table;
use super::trial::Trial;

/// Short measurements, because there are many. The command line may override this.
pub(crate) fn settings() -> Criterion {
    Criterion::default().sample_size(15).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3))
}

/// Cases to compare: criterion measures their throughput, and a table shows their latency.
pub(super) struct Cases<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    table: Table,
}

impl<'a> Cases<'a> {
    pub(super) fn new(criterion: &'a mut Criterion, name: String) -> Self {
        let mut group = criterion.benchmark_group(&name);
        group
            .throughput(Throughput::Elements(1))
            // Samples of equal length. In short ones, clients that start late and end early would weigh more.
            .sampling_mode(SamplingMode::Flat);
        Self { group, table: Table::new(name) }
    }

    pub(super) fn measure(&mut self, name: String, start: impl Fn() -> Trial) {
        // Created on first use, so that cases that the command line filters out cost nothing.
        let mut trial = None;
        self.group.bench_function(&name, |bencher| {
            let Trial { clients, .. } = trial.get_or_insert_with(&start);
            bencher.iter_custom(|requests| clients.run(requests));
        });
        if let Some(Trial { clients, .. }) = trial {
            self.table.add(name, clients.seen());
        }
    }

    pub(super) fn finish(self) {
        self.group.finish();
        self.table.print();
    }
}
