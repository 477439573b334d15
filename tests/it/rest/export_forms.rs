//! The export: NDJSON or CSV, compressed or not, whole or in its head only.

use std::io::Read as _;

use flate2::read::GzDecoder;
use rstest::rstest;

use crate::support::{Answer, Answered, App, Db, EXPORT, Raw, TOKEN, seeded, users_of};

const HEADER: &str = "id,name,email,version,created_at,updated_at,external_id,status,attributes\r\n";

async fn accepting(app: &App, accept: &str) -> Answer {
    app.get(EXPORT).header("accept", accept).answer().await
}

#[rstest]
#[tokio::test]
async fn csv_holds_the_same_users(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    assert_eq!(accepting(&app, "text/csv").await.text, format!("{HEADER}end,0,,,,,,,\r\n"));
    let names = ["Ada", "=1+1", "@SUM(A1)", "'-x", "'t Hooft", "Lovelace, \"Ada\"", "a;=b", "Zoë"];
    let mut expected = HEADER.to_owned();
    let cells = ["Ada", "'=1+1", "'@SUM(A1)", "''-x", "'t Hooft", "\"Lovelace, \"\"Ada\"\"\"", "a;'=b", "Zoë"];
    for (number, (name, cell)) in names.iter().zip(cells).enumerate() {
        let user = app.create(name, &format!("+user{number}@example.com")).await;
        let text = |member: &str| user[member].as_str().unwrap().to_owned();
        let times = format!("{},{}", text("created_at"), text("updated_at"));
        expected.extend([format!("{},{cell},'+user{number}@example.com,1,{times},,active,\r\n", user["id"])]);
    }
    let csv = accepting(&app, "text/csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.text, format!("{expected}end,8,,,,,,,\r\n"));
}

#[tokio::test]
async fn the_client_decides_on_the_form() {
    let app = App::start(Db::Sqlite).await;
    let ndjson = app.get(EXPORT).answer().await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    assert_eq!(ndjson.header("vary"), "accept, accept-encoding");
    for accept in ["*/*", "application/x-ndjson, text/csv;q=0.9", "text/html, */*;q=0.1", "application/*"] {
        assert_eq!(accepting(&app, accept).await.header("content-type"), "application/x-ndjson", "{accept}");
    }
    for accept in ["text/csv", "text/*", "application/x-ndjson;q=0.5, text/csv", "*/*, application/x-ndjson;q=0"] {
        assert!(accepting(&app, accept).await.header("content-type").starts_with("text/csv"), "{accept}");
    }
    for accept in ["application/json", "text/csv;q=0", "text/html, image/png"] {
        accepting(&app, accept).await.problem(406, "not_acceptable");
    }
}

#[rstest]
#[tokio::test]
async fn it_is_compressed_if_the_client_wants(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, 3000, &[]).await;
    let plain = app.get(EXPORT).answer().await.text;
    assert_eq!(users_of(&plain).len(), 3000);
    for (encodings, is_gzip) in
        [("gzip", true), ("gzip;q=0.5, identity;q=0.1", true), ("br", false), ("gzip;q=0", false)]
    {
        let response = app.get(EXPORT).header("accept-encoding", encodings).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let encoding = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), is_gzip.then_some("gzip"), "{encodings}");
        let bytes = response.bytes().await.unwrap();
        let mut text = String::new();
        if is_gzip {
            assert!(bytes.len() < plain.len() / 3, "{} of {}", bytes.len(), plain.len());
            GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes.to_vec()).unwrap();
        }
        assert!(text == plain, "{encodings}");
    }
}

#[tokio::test]
async fn a_head_says_only_the_form() {
    let app = seeded(Db::Sqlite, 100, &[]).await;
    let head = app.head(EXPORT).header("accept", "text/csv").header("accept-encoding", "gzip").answer().await;
    head.empty(200);
    assert_eq!((head.header("content-encoding"), &head.header("content-type")[..8]), ("gzip", "text/csv"));
    app.head(EXPORT).header("accept", "text/html").answer().await.empty(406);
    assert_eq!(app.metrics().await.value("users_exported_total"), 0.0);
}

/// HTTP/1.0 has no chunks. The end of the file says that it is whole.
#[tokio::test]
async fn an_old_client_gets_it_until_the_connection_closes() {
    let app = seeded(Db::Sqlite, 1500, &[]).await;
    let mut raw = Raw::connect(app.address());
    raw.write(&format!("GET {EXPORT} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", *TOKEN));
    let head = raw.read_head().to_lowercase();
    assert!(head.starts_with("http/1.0 200") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(users_of(&raw.read_to_end()).len(), 1500);
}
