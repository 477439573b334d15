//! The live stream: how it ends, how many there may be, and what they leave behind.

use std::io::Read as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::{
    Answered, App, Db, LiveStream, Raw, SECRET, TOKEN, Told, claims, insert_events, now, token, until,
};

const SOON: Duration = Duration::from_secs(10);

fn request() -> String {
    format!("GET /api/v2/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", *TOKEN)
}

async fn readers(app: &App) -> f64 {
    app.metrics().await.value("event_stream_readers")
}

async fn all_are_gone(app: &App) {
    until("no reader is left", SOON, async || readers(app).await == 0.0).await;
}

#[rstest]
#[tokio::test]
async fn a_shutdown_ends_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "500ms")]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(LiveStream::open(&app).await);
    }
    app.create("John", "john@example.com").await;
    let begun = Instant::now();
    app.signal("TERM");
    for stream in &mut streams {
        let told = stream.take_all().await;
        assert!(told.len() <= 1);
    }
    assert_eq!(app.exit(SOON).await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let last = streams[0].last_id;
    app.restart().await;
    app.create("Jane", "jane@example.com").await;
    let mut stream = LiveStream::resume(&app, last).await;
    assert_eq!(stream.take(if last == 0 { 2 } else { 1 }).await.last().unwrap().user_id(), 2);
}

#[rstest]
#[tokio::test]
async fn it_does_not_outlive_its_token(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("JWT_LEEWAY", "1s"), ("JWT_SECRET", SECRET)]).await;
    let mut short = claims("users:read");
    let expires = now() + 2;
    short["exp"] = json!(expires);
    let request = app.anonymous(reqwest::Method::GET, "/api/v2/events").bearer_auth(token(&short));
    let mut stream = LiveStream::on(request).await;
    app.create("John", "john@example.com").await;
    assert_eq!(stream.take_all().await.len(), 1);
    assert!((expires + 1..=expires + 3).contains(&now()), "{} s late", now() - expires);
    all_are_gone(&app).await;
}

#[rstest]
#[tokio::test]
async fn there_are_no_more_than_the_most(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("EVENTS_MAX_READERS", "1")]).await;
    let stream = LiveStream::open(&app).await;
    app.get("/api/v2/events").answer().await.problem(503, "overloaded");
    assert_eq!(app.metrics().await.value("event_stream_readers_turned_away_total"), 1.0);
    app.head("/api/v2/events").answer().await.empty(200);
    drop(stream);
    all_are_gone(&app).await;
    LiveStream::open(&app).await;
}

/// The service sends nothing meanwhile, so only the hang-up shows that the client has gone.
#[rstest]
#[tokio::test]
async fn whoever_hangs_up_is_gone_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let mut raws = Vec::from_iter((0..20).map(|_| TcpStream::connect(app.address()).unwrap()));
    for raw in &mut raws {
        std::io::Write::write_all(raw, request().as_bytes()).unwrap();
        raw.read_exact(&mut [0; 100]).unwrap();
    }
    assert_eq!(readers(&app).await, 20.0);
    for (number, raw) in raws.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        raw.shutdown(if number % 4 == 0 { Shutdown::Both } else { Shutdown::Write }).unwrap();
    }
    until("half of the readers are gone", Duration::from_secs(3), async || readers(&app).await == 10.0).await;
    drop(raws);
    until("all readers are gone", Duration::from_secs(3), async || readers(&app).await == 0.0).await;
    // Clients that never wait for the answer, and clients that are refused, leave no reader behind.
    for _ in 0..20 {
        let mut raw = Raw::connect(app.address());
        raw.write(&request());
        app.get("/api/v2/events").header("last-event-id", "99").answer().await.expect(410);
    }
    all_are_gone(&app).await;
}

/// A client that connects during a shutdown gets its offset, and the stream ends.
#[rstest]
#[tokio::test]
async fn one_that_begins_late_ends_at_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start_with(db, &[("SHUTDOWN_DELAY", "3s")]).await;
    app.create("John", "john@example.com").await;
    app.signal("TERM");
    until("/ready reports it", SOON, async || !app.is_ready().await).await;
    let mut stream = LiveStream::open(&app).await;
    assert_eq!((stream.next().await, stream.last_id), (None, 1));
    assert_eq!(app.exit(SOON).await.code(), Some(0));
}

/// Heartbeats come without any events, and with unwanted ones only.
#[tokio::test]
async fn it_gives_signs_of_life() {
    let app = App::start_with(Db::Sqlite, &[("KEEP_ALIVE", "1s"), ("RESPONSE_TIMEOUT", "2s")]).await;
    let mut stream = LiveStream::of_types(&app, "user.deleted").await;
    app.create("John", "john@example.com").await;
    assert_eq!((stream.last_id, stream.signs_of_life), (0, 1));
    assert!(stream.is_silent_for(Duration::from_secs(16)).await);
    assert_eq!((stream.last_id, stream.signs_of_life), (1, 2), "the heartbeat has the new offset");
    app.delete("/api/v2/users/1").answer().await.expect(204);
    assert_eq!(stream.next().await.unwrap().name, "user.deleted");
}

/// Requests all events and reads nothing.
fn stuck(app: &App) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = app.address().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request = request().replace("\r\n\r\n", "\r\nLast-Event-ID: 0\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    stream
}

#[rstest]
#[tokio::test]
async fn a_slow_reader_is_cut_off_and_misses_nothing(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const EVENTS: u32 = 10_000;
    let app = App::start_with(db, &[("RESPONSE_TIMEOUT", "1s")]).await;
    insert_events(&mut app.database.connect(), EVENTS);
    let mut slow = stuck(&app);
    until("the reader is counted", SOON, async || readers(&app).await == 1.0).await;
    all_are_gone(&app).await;
    let mut text = Vec::new();
    let _ = slow.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let last = whole.rsplit("id: ").next().unwrap().lines().next().unwrap().parse().unwrap();
    assert!(last < i64::from(EVENTS) / 2, "{last}");
    let rest = LiveStream::resume(&app, last).await.take(usize::try_from(i64::from(EVENTS) - last).unwrap()).await;
    assert_eq!(Vec::from_iter(rest.iter().map(Told::version)), Vec::from_iter(last + 1..=i64::from(EVENTS)));
}

/// Readers that do not read take little memory, however many events wait and for however long.
#[rstest]
#[tokio::test]
async fn those_that_do_not_read_cost_little_memory(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const READERS: u32 = 100;
    let app = App::start(db).await;
    insert_events(&mut app.database.connect(), 20_000);
    LiveStream::resume(&app, 0).await.take(1000).await;
    let before = resident_kib(&app).await;
    let stuck = Vec::from_iter((0..READERS).map(|_| stuck(&app)));
    until("all readers are counted", SOON, async || readers(&app).await == f64::from(READERS)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let each = (resident_kib(&app).await - before) / f64::from(READERS);
    assert!(each < 300.0, "{each} KiB each");
    drop(stuck);
    all_are_gone(&app).await;
}

async fn resident_kib(app: &App) -> f64 {
    app.metrics().await.value("process_resident_memory_bytes") / 1024.0
}
