//! What an answer counts as.

use std::time::Instant;

use hyper::StatusCode;
use tonic::Code;

use crate::record::{Failure, Observed};
use crate::scenario::Kind;
use crate::wire::Answer;

/// `due` is where the latency counts from.
pub(super) fn answered(kind: Kind, due: Instant, answer: Answer) -> Observed {
    let Answer { status, timing, body, .. } = answer;
    let failure = (!status.is_success()).then(|| Failure {
        example: String::from_utf8_lossy(&body).into_owned(),
        is_refusal: [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status),
    });
    Observed { kind, due, ended: Instant::now(), status: status.as_str().to_owned(), failure, sample: timing }
}

pub(super) fn answered_over_grpc(due: Instant, (code, message): (Code, String)) -> Observed {
    let failure = (code != Code::Ok).then_some(Failure {
        example: message,
        is_refusal: matches!(code, Code::Unavailable | Code::ResourceExhausted),
    });
    let status = if code == Code::Ok { "OK".to_owned() } else { format!("{code:?}") };
    Observed { kind: Kind::GrpcRead, due, ended: Instant::now(), status, failure, sample: None }
}

/// There is no answer; the time that it took counts.
pub(super) fn failed(kind: Kind, due: Instant, status: &str, example: String) -> Observed {
    let failure = Some(Failure { example, is_refusal: false });
    Observed { kind, due, ended: Instant::now(), status: status.to_owned(), failure, sample: None }
}
