//! RFC 9457 problems, on every route.

use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, Db};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn problem_with_traceparent(app: &App, traceparent: &str) -> Value {
    let answer = app.get("/api/v2/users/1").header("traceparent", traceparent).answer().await;
    answer.problem(404, "user_not_found")
}

#[tokio::test]
async fn names_the_trace_it_belongs_to() {
    let app = App::start(Db::Sqlite).await;
    for flags in ["00", "01"] {
        let problem = problem_with_traceparent(&app, &format!("00-{TRACE}-00f067aa0ba902b7-{flags}")).await;
        assert_eq!(problem["trace_id"], TRACE);
    }
    assert!(app.get("/api/v2/users/1").answer().await.problem(404, "user_not_found").get("trace_id").is_none());
}

#[rstest]
#[case::no_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01")]
#[case::no_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")]
#[case::no_such_version("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
#[case::short("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01")]
#[case::upper_case("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")]
#[case::not_hex("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01")]
#[case::no_flags("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")]
#[case::words("<script>")]
#[tokio::test]
async fn repeats_no_malformed_trace(#[case] traceparent: &str) {
    let app = App::start(Db::Sqlite).await;
    assert!(problem_with_traceparent(&app, traceparent).await.get("trace_id").is_none());
}

#[tokio::test]
async fn names_the_request_it_is_about() {
    let app = App::start(Db::Sqlite).await;
    let problem = app.get("/api/v2/users/7").answer().await.problem(404, "user_not_found");
    assert_eq!(problem["instance"], "/api/v2/users/7");
}

#[tokio::test]
async fn answers_unknown_routes() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/nothing", "/api", "/api/v2/nothing", "/api/v2/users/1/more", "/api/v3/users", "/api/v2/users/"] {
        let answer = app.get(path).answer().await;
        assert_eq!(answer.status, 404, "{path}");
        answer.problem(404, "route_not_found");
    }
}
