//! Whether a run's numbers can be believed. What speaks against it comes first in every output.

use super::Run;
use super::numbers::{Numbers, whole};

/// A thread that is busy for more than this share of the time may have sent late.
const BUSY: f64 = 0.9;
/// A generator that is later than this distorts what it measures, if it is not small beside it.
const LATE: f64 = 0.001;

/// Sentences, worst first; empty if nothing speaks against the numbers.
pub(crate) fn verdicts(run: &Run) -> Vec<String> {
    let numbers = Numbers::of(run);
    let mut found = Vec::new();
    if numbers.late > LATE && numbers.late > numbers.quantile(0.99) / 10.0 {
        found.push(format!(
            "The generator could not keep up: it was {:.1} ms late at the 99th percentile, of the {:.1} ms that it \
             measured. Give it more threads or a machine of its own.",
            numbers.late * 1e3,
            numbers.quantile(0.99) * 1e3,
        ));
    }
    let busiest = run.generators.iter().map(|generator| generator.busiest_thread).fold(0.0, f64::max);
    if busiest > BUSY {
        found.push(format!(
            "The generator was the bottleneck: its busiest thread worked {:.0}% of the time. Give it more threads, or \
             add up several machines with --merge.",
            busiest * 100.0
        ));
    }
    if run.is_cut_short {
        found.push(format!("The run was ended early, after {:.0} s.", run.seconds));
    }
    if numbers.requests == 0 {
        found.push("Nothing was measured.".to_owned());
    }
    if numbers.errors > 0.01 {
        found.push(format!("{:.1}% of the requests failed: see the errors.", numbers.errors * 100.0));
    }
    if numbers.waited > 0.01 {
        found.push(format!(
            "{:.0}% of the requests waited for a free connection: the service was slower than the rate, or \
             --connections is too small. That wait is in the latencies.",
            numbers.waited * 100.0
        ));
    }
    found.extend(shared_machine(run));
    found
}

/// On one machine, generator and service take cores from each other.
fn shared_machine(run: &Run) -> Option<String> {
    let means = [|tick: &super::Tick| tick.busy, |tick: &super::Tick| tick.stolen].map(|share| {
        let shares = Vec::from_iter(run.ticks.iter().filter(|tick| tick.at > 0.0).filter_map(share));
        shares.iter().sum::<f64>() / whole(shares.len().max(1) as u64)
    });
    let [busy, stolen] = means;
    if stolen > 0.05 {
        return Some(format!("Other virtual machines took {:.0}% of the cores' time.", stolen * 100.0));
    }
    let is_local = run.generators.iter().any(|generator| generator.is_local);
    (is_local && busy > BUSY).then(|| {
        format!(
            "Generator and service shared one machine, whose cores were busy for {:.0}% of the time: each took from \
             the other what it needed.",
            busy * 100.0
        )
    })
}
