//! What of an answer's forms the client accepts (RFC 9110, 12.5).

use actix_web::http::header::{Accept, AcceptEncoding, Encoding, Header as _, Quality};
use actix_web::{HttpMessage as _, HttpRequest};

/// Which of these media types the client prefers: of equal ones the first. `None` if it accepts none of them.
///
/// A client that does not say accepts all, as does one whose `Accept` cannot be read.
pub(crate) fn preferred_type<T: Copy>(request: &HttpRequest, offered: &[(T, &str)]) -> Option<T> {
    let Accept(ranges) = Accept::parse(request).unwrap_or(Accept(Vec::new()));
    let quality = |media_type: &str| {
        let any_subtype = media_type.split_once('/').map(|(kind, _)| format!("{kind}/*"));
        // The most specific range counts, whatever the order.
        let specificity = |range: &str| match range {
            "*/*" => Some(1),
            range if Some(range) == any_subtype.as_deref() => Some(2),
            range if range == media_type => Some(3),
            _ => None,
        };
        let matching = ranges.iter().filter_map(|range| Some((specificity(range.item.essence_str())?, range.quality)));
        let best = matching.max_by_key(|(specificity, _)| *specificity);
        best.map_or(if ranges.is_empty() { Quality::MAX } else { Quality::ZERO }, |(_, quality)| quality)
    };
    let accepted = offered.iter().map(|(kind, media_type)| (*kind, quality(media_type)));
    // `max_by_key` returns the last of equal ones.
    let best = accepted.rev().max_by_key(|(_, quality)| *quality)?;
    (best.1 > Quality::ZERO).then_some(best.0)
}

/// Whether the client prefers a body that is compressed by gzip.
pub(crate) fn accepts_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    let accepted = request.get_header::<AcceptEncoding>();
    accepted.and_then(|accepted| accepted.negotiate(supported.iter())) == Some(Encoding::gzip())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn preferred(headers: &[&str]) -> Option<u8> {
        let request =
            headers.iter().fold(TestRequest::get(), |request, value| request.append_header(("accept", *value)));
        preferred_type(&request.to_http_request(), &[(1, "application/x-ndjson"), (2, "text/csv")])
    }

    #[test]
    fn the_first_is_for_whoever_does_not_say() {
        for headers in [&[][..], &["*/*"], &["*/*;q=0.1"], &["text/html, */*;q=0.8"], &[""], &["nonsense"]] {
            assert_eq!(preferred(headers), Some(1), "{headers:?}");
        }
    }

    #[test]
    fn the_best_is_taken() {
        for value in
            ["text/csv", "text/*", "TEXT/CSV;q=0.5", "text/csv; charset=utf-8", "application/x-ndjson;q=0.5,text/csv"]
        {
            assert_eq!(preferred(&[value]), Some(2), "{value}");
        }
        assert_eq!(preferred(&["text/csv, application/x-ndjson"]), Some(1));
        assert_eq!(preferred(&["text/csv;q=0.9", "application/*"]), Some(1));
    }

    #[test]
    fn the_most_specific_range_counts() {
        assert_eq!(preferred(&["*/*, application/x-ndjson;q=0"]), Some(2));
        assert_eq!(preferred(&["application/x-ndjson;q=0.1, */*;q=0.9, text/*;q=0"]), Some(1));
    }

    #[test]
    fn a_client_may_accept_none() {
        for value in ["application/json", "text/html", "text/csv;q=0", "*/*;q=0", "application/*;q=0, image/*"] {
            assert_eq!(preferred(&[value]), None, "{value}");
        }
    }
}
