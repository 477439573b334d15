//! Mistakes on the command line get a clear error, and no request is sent.

use crate::support::{Load, Service};

#[test]
fn mistakes_are_named() {
    let load = Load::new();
    for (arguments, words) in [
        ("", "--url"),
        ("--url http://127.0.0.1:1", "--scenario"),
        ("--url 127.0.0.1:3000 --scenario read", "expected http://"),
        ("--url http://me:x@127.0.0.1 --scenario read", "without a user"),
        ("--url http://127.0.0.1:1 --scenario reads", "possible values: read, create"),
        ("--url http://127.0.0.1:1 --scenario read --rate fast", "expected requests a second"),
        ("--url http://127.0.0.1:1 --scenario read --rate 0", "expected requests a second"),
        ("--url http://127.0.0.1:1 --scenario read --connections 0", "1..=20000"),
        ("--url http://127.0.0.1:1 --scenario read --duration 5", "time unit needed"),
        ("--url http://127.0.0.1:1 --scenario read --duration 100weeks", "longer than a week"),
        ("--url http://127.0.0.1:1 --scenario read --require p99=20ms", "expected such as p99<20ms"),
        ("--url http://127.0.0.1:1 --scenario read --report report.txt", ".html"),
        ("--url http://127.0.0.1:1 --scenario read --ids 9-1", "expected two ids"),
        ("--url http://127.0.0.1:1 --scenario read --ids 1-9 --seed 5", "cannot be used with"),
        ("--url http://127.0.0.1:1 --scenario read --server-timing 101", "percentage"),
        ("--merge one.json", "2 more values"),
        ("compare one.json", "2 values"),
        ("clean-up --url http://127.0.0.1:1 --run 12", "8 hexadecimal digits"),
    ] {
        let output = load.run(arguments).exited(2);
        // clap has its own words for how many values are missing.
        assert!(output.stderr.contains(words) || words.ends_with("values"), "{arguments}: {words:?} in {output:#?}");
        assert_eq!(output.stdout, "", "{arguments}");
    }
}

#[test]
fn a_run_that_could_only_fail_is_refused() {
    let (load, service) = (Load::new(), Service::start());
    load.run("--url http://127.0.0.1:1 --scenario read").exited(3).said("cannot be reached");
    let url = service.url();
    load.run(&format!("--url {url} --scenario read --token x")).exited(3).said("401");
    load.run(&format!("--url {url} --scenario update --ids 1-9")).exited(3).said("only read");
    load.run(&format!("--url {url} --scenario read --seed 0")).exited(3).said("needs users");
    load.run(&format!("--url {url} --scenario read --duration 0s")).exited(3).said("must not be zero");
    load.run(&format!("--url {url} --scenario read --report nowhere/report.html"))
        .exited(3)
        .said("nowhere/report.html");
    assert_eq!(service.users(), 0);
}
