//! Clients that send or read too slowly lose their connection, without an effect on other clients.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rstest::rstest;
use socket2::{Domain, Socket, Type};

use crate::support::{Answered, App, Db, Raw, TOKEN, user};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// A large answer that needs no token.
const LARGE: &[u8] = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Longer than the timeouts below, even on a busy machine.
const SOON: Duration = Duration::from_secs(8);

/// Long timeouts, except for the one that a test sets.
async fn app(vars: &[(&str, &str)]) -> App {
    let patient = [("HEAD_TIMEOUT", "1m"), ("BODY_TIMEOUT", "1m"), ("KEEP_ALIVE", "1h"), ("RESPONSE_TIMEOUT", "1h")];
    App::start_with(Db::Sqlite, &[&patient[..], vars].concat()).await
}

/// Sends a little every 50 ms until the server hangs up. Returns how long that took.
fn trickle(raw: &mut Raw, bit: &str) -> Duration {
    let begun = Instant::now();
    while raw.try_write(bit) && begun.elapsed() < 2 * SOON {
        sleep(Duration::from_millis(50));
    }
    begun.elapsed()
}

#[tokio::test]
async fn a_first_head_that_trickles_is_408() {
    let app = app(&[("HEAD_TIMEOUT", "500ms")]).await;
    let mut raw = Raw::connect(app.address());
    raw.write("GET /health HTTP/1.1\r\n");
    let head = raw.read_head();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(trickle(&mut raw, "a: b\r\n") < SOON);
}

#[tokio::test]
async fn a_later_head_that_trickles_is_cut_off() {
    let app = app(&[("HEAD_TIMEOUT", "500ms")]).await;
    let mut raw = Raw::connect(app.address());
    raw.write(HEALTH);
    raw.read_response();
    // One header that grows, so that the number of headers stays within its limit.
    raw.write("GET /health HTTP/1.1\r\na: ");
    assert!(trickle(&mut raw, "b") < SOON);
    app.get("/health").answer().await.expect(200);
}

#[tokio::test]
async fn a_head_that_began_together_with_the_one_before_is_cut_off() {
    let app = app(&[("KEEP_ALIVE", "500ms")]).await;
    let mut raw = Raw::connect(app.address());
    let begun = Instant::now();
    raw.write(&format!("{HEALTH}GET /health"));
    raw.read_to_end();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

/// The server answers before the body ends, so nothing else bounds the rest of the body.
#[rstest]
#[case("Transfer-Encoding: chunked", "1\r\n \r\n")]
#[case("Content-Length: 1000000", " ")]
#[tokio::test]
async fn a_body_that_nobody_wants_is_cut_off(#[case] header: &str, #[case] bit: &str) {
    let app = app(&[("HEAD_TIMEOUT", "500ms")]).await;
    let mut raw = Raw::connect(app.address());
    raw.write(&format!("POST /api/v2/users HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"));
    let head = raw.read_head();
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(trickle(&mut raw, bit) < SOON);
}

/// Sends requests until their answers fill all buffers and the server reads no more, or has hung up.
fn ask_too_much(app: &App) -> TcpStream {
    // A small receive buffer, so that reading a little makes room for a little, and the kernel sees progress.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = app.address().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_nonblocking(true).unwrap();
    let mut full_since = None;
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(200)) {
        match stream.write(LARGE) {
            Ok(_) => full_since = None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                full_since.get_or_insert_with(Instant::now);
                sleep(Duration::from_millis(10));
            }
            Err(error) => {
                assert!(is_closed(&error), "{error:?}");
                break;
            }
        }
    }
    stream
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[rstest]
#[case::nothing(0)]
#[case::a_little(400)]
#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off(#[case] bytes: usize) {
    let app = app(&[("RESPONSE_TIMEOUT", "1s")]).await;
    let mut stream = ask_too_much(&app);
    let begun = Instant::now();
    let mut buffer = vec![0; bytes];
    let error = loop {
        assert!(begun.elapsed() < SOON, "the client is still connected");
        sleep(Duration::from_millis(50));
        let _ = stream.read(&mut buffer);
        match stream.write(b"x") {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => break error,
            Ok(_) => {}
        }
    };
    assert!(is_closed(&error), "{error:?}");
    app.get("/health").answer().await.expect(200);
}

/// Clients pipeline thousands of requests and read no answers. The server reads a request only when it can answer it.
#[tokio::test]
async fn questions_are_not_read_before_they_can_be_answered() {
    const SMALL: &str = "GET / HTTP/1.1\r\nHost:x\r\n\r\n";
    const CLIENTS: u32 = 20;
    let app = app(&[]).await;
    let before = resident_kib(&app).await;
    let mut clients = Vec::from_iter((0..CLIENTS).map(|_| TcpStream::connect(app.address()).unwrap()));
    for client in &mut clients {
        client.set_nonblocking(true).unwrap();
        let _ = client.write(SMALL.repeat(5000).as_bytes());
    }
    // The service answers these requests too, so by now it has read what it will read of the others.
    for _ in 0..20 {
        app.get("/health").answer().await.expect(200);
        sleep(Duration::from_millis(50));
    }
    let each = (resident_kib(&app).await - before) / f64::from(CLIENTS);
    assert!(each < 2048.0, "{each} KiB each");
}

/// The server answers nothing behind a stream, and keeps almost nothing of what arrives there.
#[tokio::test]
async fn questions_behind_a_stream_take_no_memory() {
    const SMALL: &str = "GET / HTTP/1.1\r\nHost:x\r\n\r\n";
    const CLIENTS: u32 = 100;
    let app = app(&[]).await;
    let stream = format!("GET /api/v2/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", *TOKEN);
    let before = resident_kib(&app).await;
    let mut clients = Vec::from_iter((0..CLIENTS).map(|_| Raw::connect(app.address())));
    for client in &mut clients {
        client.write(&format!("{stream}{}", SMALL.repeat(160)));
    }
    for client in &mut clients {
        assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    }
    let each = (resident_kib(&app).await - before) / f64::from(CLIENTS);
    assert!(each < 150.0, "{each} KiB each");
}

/// The server keeps no more of a head than its limit, even if the head does not end.
#[tokio::test]
async fn a_head_is_refused_before_it_takes_more_than_it_may() {
    const CLIENTS: u32 = 100;
    let app = app(&[("MAX_HEAD_BYTES", "4096")]).await;
    let before = resident_kib(&app).await;
    let mut clients = Vec::from_iter((0..CLIENTS).map(|_| Raw::connect(app.address())));
    for client in &mut clients {
        client.try_write(&format!("GET /api/v2/users HTTP/1.1\r\nHost: x\r\nx: {}", "x".repeat(130_000)));
    }
    for _ in 0..5 {
        app.get("/health").answer().await.expect(200);
    }
    let each = (resident_kib(&app).await - before) / f64::from(CLIENTS);
    assert!(each < 80.0, "{each} KiB each");
    for client in &mut clients {
        let answer = client.read_response();
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("head_too_large"), "{answer}");
    }
}

async fn resident_kib(app: &App) -> f64 {
    let metrics = app.get("/metrics").answer().await.text;
    let line = metrics.lines().find(|line| line.starts_with("process_resident_memory_bytes ")).expect("the memory");
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() / 1024.0
}

/// A client that reads gets all answers in order, however many requests it pipelines.
#[tokio::test]
async fn whoever_listens_gets_an_answer_to_every_question() {
    const QUESTIONS: usize = 3000;
    let app = app(&[]).await;
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        let questions =
            (0..QUESTIONS).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: x\r\nX-Request-Id: q{at}\r\n\r\n"));
        writer.write_all(questions.collect::<String>().as_bytes()).unwrap();
        writer.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    });
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    asking.join().unwrap();
    let ids = Vec::from_iter(answers.split("x-request-id: q").skip(1).map(|rest| rest.lines().next().unwrap()));
    assert_eq!(ids, Vec::from_iter((0..QUESTIONS).map(|at| at.to_string())));
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 1);
}

/// Bodies that arrive in many parts, with the next request right behind.
#[tokio::test]
async fn bodies_and_questions_may_come_in_one_go() {
    let app = app(&[]).await;
    let mut raw = Raw::connect(app.address());
    for number in 0..3 {
        let body = format!("{}{}", user("John", &format!("john{number}@example.com")), " ".repeat(50_000));
        let head = format!("Host: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json", *TOKEN);
        raw.write(&format!("POST /api/v2/users HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        raw.write(&format!("POST /api/v2/users HTTP/1.1\r\n{head}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        raw.write(&format!("{:x}\r\n{body}\r\n0\r\n\r\n{HEALTH}", body.len()));
    }
    for status in ["201 Created", "409 Conflict", "200 OK"].iter().cycle().take(9) {
        let answer = raw.read_response();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
}

/// During a transfer the connection is not idle, and bytes that arrive meanwhile do not count as a slow head.
#[tokio::test]
async fn a_long_answer_is_not_cut_off() {
    let app = app(&[("KEEP_ALIVE", "500ms"), ("HEAD_TIMEOUT", "500ms")]).await;
    let whole = app.get("/docs/swagger-ui-bundle.js").answer().await.text.len();
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.write_all(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    sleep(Duration::from_secs(1));
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let (mut received, mut buffer) = (0, vec![0; 40_000]);
    loop {
        match stream.read(&mut buffer).expect("the client is still connected") {
            0 => break,
            bytes => received += bytes,
        }
        sleep(Duration::from_millis(100));
    }
    assert!(received > whole, "{received} of {whole}");
}

/// A client that pauses for less than the timeout.
#[tokio::test]
async fn a_client_that_reads_in_time_gets_everything() {
    let app = app(&[("RESPONSE_TIMEOUT", "3s")]).await;
    let mut stream = TcpStream::connect(app.address()).unwrap();
    let one = app.get("/openapi.json").answer().await.text.len();
    let requests = LARGE.repeat(99);
    stream.write_all(&requests).unwrap();
    stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    sleep(Duration::from_secs(1));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() > 100 * one, "{} of {}", bytes.len(), 100 * one);
}
