//! The standard's variables of traces, as far as the service supports them (OpenTelemetry, "SDK configuration" and
//! "OTLP exporter configuration"). Not read by the SDK, which would see neither `.env` nor a mistake.

use std::time::Duration;

use url::Url;

use super::address::http_url;
use super::reader::Reader;
use crate::telemetry::{Sampler, TraceSettings};

/// The variable for traces is used as it is. To the general one the path is appended.
const ENDPOINTS: [(&str, &str); 2] =
    [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "/v1/traces")];

impl Reader<'_> {
    /// How traces are exported. `None` if they are not, or if there is a mistake.
    pub(super) fn traces(&mut self, max_links: u32) -> Option<TraceSettings> {
        if !ENDPOINTS.iter().any(|(name, _)| self.is_set(name)) || self.are_disabled() {
            return None;
        }
        let endpoint = self.endpoint();
        self.only("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        self.only("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
        let headers = self.headers();
        let timeout = self.milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", "10000");
        let sampler = self.sampler();
        let resource = self.value("OTEL_RESOURCE_ATTRIBUTES", "", PAIRS, pairs);
        let max_queue = self.count("OTEL_BSP_MAX_QUEUE_SIZE", "2048", 1 << 20);
        let batch = 512.min(max_queue.unwrap_or(512)).to_string();
        let max_export_batch = self.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &batch, 1 << 20);
        let schedule_delay = self.milliseconds("OTEL_BSP_SCHEDULE_DELAY", "5000");
        let service_name = self.service_name(resource.as_deref().unwrap_or_default());
        Some(TraceSettings {
            endpoint: endpoint?,
            headers: headers?.into_iter().collect(),
            timeout: timeout?,
            sampler: sampler?,
            service_name,
            resource: resource?,
            max_queue: max_queue?,
            max_export_batch: max_export_batch?,
            schedule_delay: schedule_delay?,
            max_links,
        })
    }

    fn are_disabled(&mut self) -> bool {
        let is_disabled = self.word("OTEL_SDK_DISABLED", "false", "true or false", |text| text.parse().ok());
        let exporter = self.word("OTEL_TRACES_EXPORTER", "otlp", "otlp or none", |text| {
            ["otlp", "none"].into_iter().find(|exporter| *exporter == text)
        });
        is_disabled == Some(true) || exporter == Some("none")
    }

    fn is_set(&self, name: &str) -> bool {
        (self.lookup)(name).is_some_and(|value| !value.is_empty())
    }

    fn endpoint(&mut self) -> Option<Url> {
        let (name, path) = ENDPOINTS.into_iter().find(|(name, _)| self.is_set(name))?;
        let text = self.text(name).ok()??;
        // A URL that already ends in the path would get it twice.
        let has_path = |url: &Url| !path.is_empty() && url.path().trim_end_matches('/').ends_with(path);
        let is_plain = |url: &Url| url.query().is_none() && url.fragment().is_none() && !has_path(url);
        let Some(mut url) = http_url(&text).filter(is_plain) else {
            let expected = "an http:// or https:// URL without spaces, user, password, query and fragment";
            let expected =
                if path.is_empty() { expected.to_owned() } else { format!("{expected}; {path} is added to it") };
            // The URL may contain a password.
            return self.mistake(name, "***", expected);
        };
        if !path.is_empty() {
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        }
        self.effective.push((name, text));
        Some(url)
    }

    /// The variable for traces, if it is set, otherwise the general one.
    fn of_traces(&self, name: &'static str) -> &'static str {
        let for_traces = match name {
            "OTEL_EXPORTER_OTLP_PROTOCOL" => "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_COMPRESSION" => "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            "OTEL_EXPORTER_OTLP_HEADERS" => "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_TIMEOUT" => "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            other => other,
        };
        if self.is_set(for_traces) { for_traces } else { name }
    }

    /// Reads a variable that has only one valid value.
    fn only(&mut self, name: &'static str, value: &'static str) {
        let name = self.of_traces(name);
        self.word(name, value, format!("{value}, nothing else"), |given| (given == value).then_some(()));
    }

    fn milliseconds(&mut self, name: &'static str, default: &str) -> Option<Duration> {
        let name = self.of_traces(name);
        let parse =
            |value: &str| value.parse().ok().filter(|it| (1..=3_600_000).contains(it)).map(Duration::from_millis);
        self.value(name, default, "milliseconds, 1 to 3600000", parse)
    }

    fn sampler(&mut self) -> Option<Sampler> {
        let argument = self.value("OTEL_TRACES_SAMPLER_ARG", "1", "a ratio from 0 to 1", |value| {
            value.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio)).then(|| value.to_owned())
        });
        let expected = "always_on, always_off or traceidratio, each also with parentbased_ before it; a ratio is in \
                     OTEL_TRACES_SAMPLER_ARG";
        let parse = |value: &str| Sampler::parse(value, argument.as_deref());
        self.word("OTEL_TRACES_SAMPLER", "parentbased_always_on", expected, parse)
    }

    fn service_name(&mut self, resource: &[(String, String)]) -> String {
        let named = resource.iter().find(|(name, _)| name == "service.name").map(|(_, value)| value.as_str());
        let default = named.unwrap_or(env!("CARGO_PKG_NAME")).to_owned();
        let name = self.value("OTEL_SERVICE_NAME", &default, "a name", |value| Some(value.to_owned()));
        name.unwrap_or(default)
    }

    /// Headers are secret, valid or not.
    fn headers(&mut self) -> Option<Vec<(String, String)>> {
        let name = self.of_traces("OTEL_EXPORTER_OTLP_HEADERS");
        let Some(text) = self.text(name).ok()? else { return Some(Vec::new()) };
        let headers = pairs(&text).filter(|headers| headers.iter().all(is_header));
        if headers.is_none() {
            return self.mistake(name, "***", "headers: ".to_owned() + PAIRS);
        }
        self.effective.push((name, "***".to_owned()));
        headers
    }
}

const PAIRS: &str = "a list such as a=1,b=2, with %2C for a comma in it";

/// Whether these are a valid name and value of a header (RFC 9110, 5.6.2 and 5.5).
fn is_header((name, value): &(String, String)) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
    let pair = |member: &str| {
        let (key, value) = member.split_once('=').filter(|(key, value)| !key.is_empty() && is_encoded(value))?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((key.trim().to_owned(), value.into_owned()))
    };
    members.map(pair).collect()
}

/// Whether each `%` begins a percent code. Otherwise it would be taken literally.
fn is_encoded(text: &str) -> bool {
    let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('%').skip(1).all(|after| after.get(..2).is_some_and(is_code))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::{Config, Mistake};

    fn read(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, Vec<Mistake>> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let lookup = |name: &str| variables.get(name).map(ToString::to_string);
        Config::read(lookup, true).map(|config| config.telemetry.traces)
    }

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]:4318/");

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        for off in [&[][..], &[ON, ("OTEL_SDK_DISABLED", "TRUE")], &[ON, ("OTEL_TRACES_EXPORTER", "none")]] {
            assert!(read(off).unwrap().is_none(), "{off:?}");
        }
        assert_eq!(read(&[ON]).unwrap().unwrap().endpoint.as_str(), "http://[::1]:4318/v1/traces");
    }

    #[test]
    fn the_variable_for_traces_takes_precedence() {
        let settings = read(&[
            ON,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b/c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc=, x=y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "700"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=users,deployment.environment.name=test"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.endpoint.as_str(), "https://b/c");
        assert_eq!(settings.timeout, Duration::from_millis(500));
        assert_eq!(settings.headers.get("authorization").unwrap(), "Basic abc=");
        assert_eq!(settings.service_name, "users");
        assert_eq!(settings.resource.len(), 2);
    }

    #[test]
    fn every_mistake_is_reported_without_secrets() {
        let mistakes = read(&[
            ON,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ]);
        let mistakes = mistakes.unwrap_err();
        assert_eq!(mistakes.len(), 5, "{mistakes:?}");
        assert!(!format!("{mistakes:?}").contains("s3cret"));
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:s3cret@b")]).is_err());
        for endpoint in ["grpc://b", "http://b?key=s3cret"] {
            assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).is_err(), "{endpoint}");
        }
        for headers in ["bad name=x", "a=b%0Ac", "=x"] {
            assert!(read(&[ON, ("OTEL_EXPORTER_OTLP_HEADERS", headers)]).is_err(), "{headers}");
        }
    }
}
