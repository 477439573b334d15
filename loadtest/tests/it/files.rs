//! What is done with the files of runs: they are added up, compared, and judged.

use serde_json::{Value, json};

use crate::support::{Load, Service, number};

/// The file of a short run, of which variants can be made.
fn a_run(load: &Load, name: &str) -> Value {
    let service = Service::start();
    let arguments = "--scenario create --rate 100 --warm-up 0s --duration 6s";
    let report = format!("--url {} --report {name}.html {arguments}", service.url());
    load.run(&report).exited(0);
    load.json(&format!("{name}.json"))
}

#[test]
fn runs_at_the_same_time_add_up() {
    let (load, service) = (Load::new(), Service::start());
    let start = |name: &str, rate: u32| {
        let arguments = format!("--scenario create --rate {rate} --connections 3 --warm-up 0s --duration 3s");
        load.start(&format!("--url {} --report {name}.html {arguments}", service.url()))
    };
    let (a, b) = (start("a", 100), start("b", 50));
    crate::support::finish(a).exited(0);
    crate::support::finish(b).exited(0);
    let output = load.run("--merge a.json b.json --report sum.html --require errors<0.1% p99<60s").exited(0);
    assert!(output.stdout.contains("450 requests, 0 failed"), "{}", output.stdout);
    let sum = load.json("sum.json");
    assert_eq!(number(&sum, "/operations/create/requests"), 450.0);
    assert_eq!(number(&sum, "/options/connections"), 6.0);
    assert_eq!(sum["generators"].as_array().expect("generators").len(), 2);
    let windows = sum["windows"].as_array().expect("windows");
    assert_eq!(windows.iter().map(|window| number(window, "/requests")).sum::<f64>(), 450.0);
    assert!(load.text("sum.html").contains("450"));
    // Each alone, and the sum, may be added up no further with themselves.
    load.run("--merge a.json sum.json").exited(3).said("twice");
}

#[test]
fn what_was_not_one_load_is_not_added_up() {
    let load = Load::new();
    let run = a_run(&load, "a");
    for (name, path, value, words) in [
        ("later", "/began", json!(number(&run, "/began") + 60.0), "60 s apart"),
        ("other", "/options/scenario", json!("read"), "of the scenarios"),
        ("longer", "/options/duration", json!(9.0), "same duration"),
        ("closed", "/options/rate", Value::Null, "open loop"),
        ("newer", "/format", json!(2), "format 2"),
    ] {
        let mut variant = run.clone();
        *variant.pointer_mut("/options/run").expect("a run") = json!("00000001");
        *variant.pointer_mut(path).expect(path) = value;
        load.write(&format!("{name}.json"), &variant);
        load.run(&format!("--merge a.json {name}.json")).exited(3).said(words);
    }
    load.write("nothing.json", &json!({}));
    load.run("--merge a.json nothing.json").exited(3).said("is no run");
    load.run("--merge a.json missing.json").exited(3).said("missing.json");
}

#[test]
fn a_comparison_tells_noise_from_a_difference() {
    let load = Load::new();
    let run = a_run(&load, "a");
    let same = load.run("compare a.json a.json --report same.html").exited(0);
    assert!(!same.stdout.contains("more than their noise"), "{}", same.stdout);
    assert!(same.stdout.contains("within their noise"), "{}", same.stdout);
    // Half as many in each window.
    let mut half = run.clone();
    for window in half["windows"].as_array_mut().expect("windows") {
        let requests = window["requests"].as_u64().expect("a count");
        window["requests"] = json!(requests / 2);
    }
    load.write("half.json", &half);
    let output = load.run("compare a.json half.json --report report.html").exited(0);
    let line = output.stdout.lines().find(|line| line.starts_with("answers")).expect("a line").to_owned();
    let ratio = line.split(" x ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    assert!(ratio.is_some_and(|ratio| (0.45..0.55).contains(&ratio)), "{line}");
    assert!(line.contains("more than their noise"), "{line}");
    let page = load.text("report.html");
    assert!(page.contains("B beside A") && page.contains("<h2>p99</h2>"));
    let mut other = run;
    other["options"]["connections"] = json!(7);
    load.write("other.json", &other);
    let output = load.run("compare a.json other.json").exited(0);
    assert!(output.stdout.contains("differ in their conditions: connections"), "{}", output.stdout);
}

#[test]
fn requirements_decide_the_exit_code() {
    let load = Load::new();
    a_run(&load, "a");
    a_run(&load, "b");
    // Judged anew from the files; the two runs were one after the other, so each is judged with a copy of itself.
    let mut copy = load.json("a.json");
    copy["options"]["run"] = json!("00000002");
    load.write("copy.json", &copy);
    for (requirements, code) in [
        ("p50<60s p99<60s p99.9<=60s max<60s mean<60s errors<0.1% rate>100 late<60s", 0),
        ("p99<1us", 1),
        ("p50<60s rate>=1000000", 1),
        ("mean>60s", 1),
        ("late<1ns", 1),
        ("errors>50%", 1),
    ] {
        let output = load.run(&format!("--merge a.json copy.json --require {requirements}")).exited(code);
        assert_eq!(output.stdout.contains("MISSED"), code == 1, "{}", output.stdout);
    }
}
