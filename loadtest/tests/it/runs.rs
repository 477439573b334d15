//! Each scenario against the real service.

use serde_json::Value;

use crate::support::{Load, Service, finish, number};

#[test]
fn a_closed_loop_reads() {
    let (load, service) = (Load::new(), Service::start());
    let arguments = "--scenario read --seed 50 --connections 4 --warm-up 0s --duration 10s --requests 2000";
    let output = load.against(&service, arguments).exited(0);
    assert!(output.stdout.contains("2000 requests, 0 failed"), "{}", output.stdout);
    let run = load.json("report.json");
    assert_eq!(number(&run, "/operations/read/requests"), 2000.0);
    assert_eq!(run["statuses"], serde_json::json!({ "200": 2000 }));
    assert_eq!(run["options"]["rate"], Value::Null);
    assert_eq!(run["service"]["database"], "sqlite");
    assert!(service.users() == 50, "nothing is cleaned up unasked");
}

#[test]
fn crud_changes_only_what_it_made_and_cleans_up() {
    let (load, service) = (Load::new(), Service::start());
    load.against(&service, "--scenario create --requests 20 --connections 1 --warm-up 0s").exited(0);
    let (before, updates) = (service.users(), service.metric("users_updated_total"));
    assert_eq!((before, updates), (20, 0.0));
    let arguments = "--scenario crud --seed 100 --rate 400 --warm-up 500ms --duration 2s --clean-up";
    load.against(&service, arguments).exited(0).said("users of run");
    let run = load.json("report.json");
    let counts = ["read", "update", "page", "create"].map(|kind| number(&run, &format!("/operations/{kind}/requests")));
    assert_eq!(counts.iter().sum::<f64>(), 800.0, "{counts:?}");
    assert!(counts[0] > 540.0 && counts[1] > 70.0 && counts[2] > 10.0 && counts[3] > 10.0, "{counts:?}");
    assert_eq!(run["errors"], serde_json::json!({}));
    assert_eq!(service.users(), before, "all that it made is gone, and nothing else");
    assert_eq!(service.metric("users_deleted_total"), service.metric("users_created_total") - 20.0);
}

#[test]
fn a_run_that_was_killed_is_cleaned_up_after() {
    let (load, service) = (Load::new(), Service::start());
    let url = service.url();
    let mut child = load.start(&format!("--url {url} --scenario update --seed 30 --duration 60s --rate 50"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while service.metric("users_updated_total") == 0.0 {
        assert!(std::time::Instant::now() < deadline, "no update within 30 s");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().expect("it can be killed");
    let stderr = finish(child).stderr;
    let run = stderr.split_whitespace().nth(1).expect("run NAME makes 30 users");
    assert_eq!(service.users(), 30);
    load.run(&format!("clean-up --url {url} --run 00000000")).exited(0);
    assert_eq!(service.users(), 30, "another run's users stay");
    let output = load.run(&format!("clean-up --url {url} --run {run}")).exited(0);
    assert!(output.stdout.contains("deleted the 30 users"), "{}", output.stdout);
    assert_eq!(service.users(), 0);
}

#[test]
fn pages_are_walked() {
    let (load, service) = (Load::new(), Service::start());
    let arguments = "--scenario page --seed 50 --connections 1 --warm-up 0s --requests 9 --duration 10s";
    load.against(&service, arguments).exited(0);
    let run = load.json("report.json");
    assert_eq!(run["statuses"], serde_json::json!({ "200": 9 }));
    // Three pages of 20, three times: 20 + 20 + 10.
    assert_eq!(number(&run, "/operations/page/requests"), 9.0);
}

#[test]
fn grpc_is_read() {
    let (load, service) = (Load::new(), Service::start());
    let arguments = format!(
        "--scenario grpc-read --seed 20 --grpc-url {} --connections 2 --warm-up 0s --requests 200 --duration 10s",
        service.grpc_url()
    );
    load.against(&service, &arguments).exited(0);
    let run = load.json("report.json");
    assert_eq!(run["statuses"], serde_json::json!({ "OK": 200 }));
    assert!(service.metric("grpc_requests_total") >= 200.0);
}

#[test]
fn every_reader_of_the_live_stream_gets_every_event() {
    let (load, service) = (Load::new(), Service::start());
    let arguments = "--scenario watch --seed 10 --connections 5 --rate 40 --warm-up 0s --duration 2s --clean-up";
    load.against(&service, arguments).exited(0);
    let run = load.json("report.json");
    assert_eq!(number(&run, "/operations/update/requests"), 80.0);
    assert_eq!(number(&run, "/operations/delivery/requests"), 400.0);
    assert_eq!(number(&run, "/operations/delivery/failed"), 0.0);
}

#[test]
fn ids_that_are_there_are_only_read() {
    let (load, service) = (Load::new(), Service::start());
    load.against(&service, "--scenario create --requests 10 --connections 1 --warm-up 0s").exited(0);
    let arguments = "--scenario read --ids 1-20 --connections 1 --warm-up 0s --requests 200 --duration 10s";
    load.against(&service, arguments).exited(0);
    let run = load.json("report.json");
    assert_eq!(service.users(), 10);
    let missing = number(&run, "/errors/read 404/count");
    assert!((50.0..150.0).contains(&missing), "half of these ids have no user, {missing} of 200 were not found");
    assert!(run["errors"]["read 404"]["example"].as_str().expect("an example").contains("user_not_found"));
}

#[test]
fn what_the_service_says_is_on_the_same_axis() {
    let (load, service) = (Load::new(), Service::start());
    load.against(&service, "--scenario update --seed 20 --rate 200 --warm-up 1s --duration 3s").exited(0);
    let run = load.json("report.json");
    let ticks = run["ticks"].as_array().expect("ticks");
    let seen = Vec::from_iter(ticks.iter().filter(|tick| !tick["scrape"].is_null()));
    assert!(seen.len() >= 3, "{ticks:?}");
    let requests = |tick: &Value| number(tick, "/scrape/requests");
    let grown = requests(seen[seen.len() - 1]) - requests(seen[0]);
    let seconds = number(seen[seen.len() - 1], "/at") - number(seen[0], "/at");
    // Each look is a request, too, but is not counted.
    assert!((grown / seconds - 200.0).abs() < 40.0, "{grown} in {seconds} s");
    let page = load.text("report.html");
    for title in
        ["Throughput", "Latency, as the service measured it", "Batch size", "Queue", "Database time", "Memory", "CPU"]
    {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(!page.contains("src=\"") && !page.contains("rel=\"stylesheet\""), "nothing is fetched from outside");
    assert!(page.contains("no answer had it") || page.contains("answers had it"), "what became of Server-Timing");
}

#[test]
fn refusals_are_no_fast_answers() {
    let (load, service) = (Load::new(), Service::start_with(&[("RATE_LIMIT", "50"), ("RATE_BURST", "60")]));
    load.against(&service, "--scenario create --rate 300 --warm-up 0s --duration 2s").exited(0);
    let run = load.json("report.json");
    let (requests, failed) = (number(&run, "/operations/create/requests"), number(&run, "/operations/create/failed"));
    assert_eq!(requests, 600.0);
    assert!(failed > 300.0, "{failed}");
    let counts = run.pointer("/operations/create/latencies/nanoseconds").and_then(Value::as_array).expect("latencies");
    let recorded: f64 = counts.iter().map(|pair| number(pair, "/1")).sum();
    assert_eq!(recorded, requests - failed);
    assert_eq!(number(&run, "/statuses/429"), failed);
}

#[test]
fn a_token_is_in_no_output() {
    let (load, service) = (Load::new(), Service::start());
    let output = load.against(&service, "--scenario create --requests 3 --connections 1 --warm-up 0s").exited(0);
    let texts = [output.stdout, output.stderr, load.text("report.html"), load.text("report.json")];
    // The beginning of every such token.
    assert!(texts.iter().all(|text| !text.contains("eyJ")));
}
