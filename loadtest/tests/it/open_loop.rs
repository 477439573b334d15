//! What an open loop is for: a service that stalls cannot hide it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Load, Output, Service, finish, number};

const FROZEN: Duration = Duration::from_secs(2);

/// The run whose file it is, and how it ended.
struct Frozen {
    run: Value,
    output: Output,
}

/// Freezes the service for two seconds in the midst of a run.
fn freeze_during(arguments: &str) -> Frozen {
    let (load, service) = (Load::new(), Service::start());
    let child = load.start(&format!(
        "--url {} --report report.html --scenario read --seed 50 --warm-up 0s --duration 8s {arguments}",
        service.url()
    ));
    // The users are made, and the run is well under way.
    let deadline = Instant::now() + Duration::from_mins(1);
    while service.metric("http_requests_total") < 250.0 {
        assert!(Instant::now() < deadline, "the run does not begin");
        sleep(Duration::from_millis(10));
    }
    service.signal("STOP");
    sleep(FROZEN);
    service.signal("CONT");
    let output = finish(child);
    Frozen { run: load.json("report.json"), output }
}

#[test]
fn a_frozen_service_shows_in_the_99th_percentile() {
    // 1,600 requests are due, 400 of them in the two seconds: a quarter waits, and the 16 slowest nearly all of them.
    let Frozen { run, output } = freeze_during("--rate 200 --connections 16 --require p99<1500ms errors<1%");
    let output = output.exited(1);
    assert!(output.stdout.contains("MISSED: required p99<1500ms"), "{}", output.stdout);
    assert!(!output.stdout.contains("required errors"), "{}", output.stdout);
    assert_eq!(number(&run, "/operations/read/requests"), 1_600.0, "what was due while it was frozen was sent as well");
    let latencies = Latencies::of(&run);
    assert!(latencies.quantile(0.9) > 1.0, "{}", latencies.quantile(0.9));
    assert!(latencies.quantile(0.99) > 1.8, "{}", latencies.quantile(0.99));
    // It was the service, not the generator, and the report says which.
    assert!(output.stdout.contains("waited for a free connection"), "{}", output.stdout);
}

/// The opposite, which shows that the test above can fail: a closed loop omits what it would have sent meanwhile.
#[test]
fn a_closed_loop_hides_it() {
    let Frozen { run, output } = freeze_during("--connections 2");
    output.exited(0);
    let latencies = Latencies::of(&run);
    assert!(latencies.count > 400.0, "{}", latencies.count);
    assert!(latencies.quantile(1.0) > 1.8, "{}", latencies.quantile(1.0));
    assert!(latencies.quantile(0.99) < 0.5, "{}", latencies.quantile(0.99));
}

#[test]
fn a_service_that_stays_frozen_fails_all_that_was_due() {
    let (load, service) = (Load::new(), Service::start());
    load.against(&service, "--scenario create --requests 50 --connections 1 --warm-up 0s").exited(0);
    let child = load.start(&format!(
        "--url {} --report report.html --scenario read --ids 1-50 --rate 100 --connections 4 --warm-up 0s --duration 3s \
         --timeout 1s",
        service.url()
    ));
    while service.metric("http_requests_total") < 101.0 {
        sleep(Duration::from_millis(10));
    }
    service.signal("STOP");
    let output = finish(child).exited(0);
    let run = load.json("report.json");
    assert_eq!(number(&run, "/operations/read/requests"), 300.0, "{output:?}");
    let failed = number(&run, "/operations/read/failed");
    assert!(failed > 150.0, "{failed}");
    let (timeouts, not_sent) = (number(&run, "/statuses/timeout"), number(&run, "/statuses/not sent"));
    assert_eq!(timeouts + not_sent, failed);
    // What was never sent waited longest.
    assert!(Latencies::of(&run).quantile(1.0) > 1.5);
}

#[test]
fn steps_and_ramps_are_sent_as_they_are_due() {
    let (load, service) = (Load::new(), Service::start());
    // At an even 100/s, 100 were due in the first second.
    for (shape, due_first) in [("50,150", 50.0), ("50..150", 75.0)] {
        let arguments = format!("--scenario create --rate {shape} --warm-up 0s --duration 2s --timeout 5s");
        load.against(&service, &arguments).exited(0);
        let run = load.json("report.json");
        assert_eq!(number(&run, "/operations/create/requests"), 200.0, "{shape}");
        // A busy machine may end some later, but none is sent before it is due.
        let first = number(&run, "/windows/0/requests");
        assert!(first <= due_first, "{shape}: {first} in the first second");
    }
}

/// Latencies as the file has them.
struct Latencies {
    pairs: Vec<(f64, f64)>,
    count: f64,
}

impl Latencies {
    fn of(run: &Value) -> Self {
        let pairs = run.pointer("/operations/read/latencies/nanoseconds").and_then(Value::as_array).expect("latencies");
        let pairs = Vec::from_iter(pairs.iter().map(|pair| (number(pair, "/0") / 1e9, number(pair, "/1"))));
        let count = pairs.iter().map(|(_, count)| count).sum();
        Self { pairs, count }
    }

    /// In seconds.
    fn quantile(&self, quantile: f64) -> f64 {
        let mut seen = 0.0;
        let at = self.pairs.iter().find(|(_, count)| {
            seen += count;
            seen >= self.count * quantile
        });
        at.or(self.pairs.last()).expect("a latency").0
    }
}
