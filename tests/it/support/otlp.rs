//! A collector that receives spans over OTLP/HTTP on loopback and shows them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::until;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub trace_id: String,
    pub span_id: String,
    /// Empty for a root.
    pub parent: String,
    pub state: String,
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    pub kind: i32,
    pub attributes: BTreeMap<String, String>,
    /// Trace and span ids.
    pub links: Vec<(String, String)>,
    /// 0 unset, 1 ok, 2 error.
    pub status: i32,
    pub events: usize,
    pub resource: BTreeMap<String, String>,
    pub nanos: u64,
}

/// The collector.
pub struct Otlp {
    pub endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Otlp {
    pub fn start() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    }

    /// A collector that gives every request this answer.
    pub fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let otlp = Self { endpoint, seen: Arc::default(), heads: Arc::default() };
        let (seen, heads) = (Arc::clone(&otlp.seen), Arc::clone(&otlp.heads));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, heads) = (Arc::clone(&seen), Arc::clone(&heads));
                thread::spawn(move || serve(&stream.unwrap(), answer, &seen, &heads));
            }
        });
        otlp
    }

    /// Waits until enough spans have arrived, and returns all of them.
    pub async fn until(&self, what: &str, are_enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut seen = Vec::new();
        until(what, Duration::from_secs(10), async || {
            seen.clone_from(&self.seen.lock().unwrap());
            are_enough(&seen)
        })
        .await;
        seen
    }

    /// Waits until `count` spans have arrived, and returns all of them.
    pub async fn wait(&self, count: usize) -> Vec<Seen> {
        self.until(&format!("{count} spans arrive"), |seen| seen.len() >= count).await
    }

    /// The heads of the requests that carried the spans.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, answer: &str, seen: &Mutex<Vec<Seen>>, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = read(&mut reader) {
        heads.lock().unwrap().push(head);
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        seen.lock().unwrap().extend(spans(request));
        (&*stream).write_all(answer.as_bytes()).unwrap();
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let (_, length) = lower.split_once("content-length:")?;
    let mut body = vec![0; length.lines().next()?.trim().parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Seen> {
    let mut all = Vec::new();
    for group in request.resource_spans {
        let resource = named(group.resource.unwrap_or_default().attributes);
        let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        all.extend(spans.map(|span| one(span, resource.clone())));
    }
    all
}

fn one(span: Span, resource: BTreeMap<String, String>) -> Seen {
    Seen {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        name: span.name,
        kind: span.kind,
        attributes: named(span.attributes),
        links: span.links.into_iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        status: span.status.map_or(0, |status| status.code),
        events: span.events.len(),
        resource,
        nanos: span.end_time_unix_nano - span.start_time_unix_nano,
    }
}

fn named(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: AnyValue| match value.value {
        Some(Value::StringValue(text)) => text,
        // Formatted with its type, so that a number sent as text is noticed.
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|pair| (pair.key, pair.value.map(text).unwrap_or_default())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
