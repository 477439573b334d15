//! Patterns for the strings in the API's description, which the types of parameters and fields do not express.
//!
//! The patterns are ECMA-262's, with its flag `u`. Every string that the service accepts matches them. The service also
//! checks what no pattern can express, such as that an address has at most 254 bytes.

use utoipa::openapi::header::Header;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{Object, OpenApi as Document, RefOr, Schema};
use utoipa::{Modify, Number};

use super::operations::operations;

/// Adds the patterns by the names of parameters, headers and fields, which mean the same on all routes.
pub(super) struct TextPatterns;

impl Modify for TextPatterns {
    fn modify(&self, openapi: &mut Document) {
        for item in openapi.paths.paths.values_mut() {
            for operation in operations(item) {
                let reads = operation.responses.responses.contains_key("304");
                for parameter in operation.parameters.iter_mut().flatten().filter_map(inline) {
                    constrain_parameter(parameter, reads);
                }
                for response in operation.responses.responses.values_mut().filter_map(inline) {
                    for (name, header) in &mut response.headers {
                        if let Some(header) = inline(header) {
                            constrain_header(name, header);
                        }
                    }
                }
            }
        }
        let schemas = openapi.components.iter_mut().flat_map(|components| &mut components.schemas);
        for (_, body) in schemas.filter(|(name, _)| matches!(name.as_str(), "UserBody" | "UserPatch" | "v1.UserBody")) {
            let Some(body) = object(body) else { continue };
            for (field, pattern) in [("name", name()), ("email", email()), ("external_id", external_id())] {
                set_pattern(body.properties.get_mut(field), &pattern);
            }
        }
    }
}

fn constrain_parameter(parameter: &mut Parameter, reads: bool) {
    let pattern = match parameter.name.as_str() {
        "id" | "Last-Event-ID" => return set_maximum(parameter.schema.as_mut()),
        "If-Match" => tags(),
        "If-None-Match" if reads => tags(),
        "If-None-Match" => ANY.to_owned(),
        "email" => email(),
        "external_id" => external_id(),
        "name_prefix" => name_prefix(),
        "order_by" => ORDER.to_owned(),
        "page_token" => PAGE_TOKEN.to_owned(),
        "type" => TYPES.to_owned(),
        _ => return,
    };
    set_pattern(parameter.schema.as_mut(), &pattern);
}

fn constrain_header(name: &str, header: &mut Header) {
    let pattern = match name {
        "ETag" => format!("^\"{POSITIVE}\"$"),
        "Link" => NEXT_PAGE.to_owned(),
        "Location" => format!("^(?:/api/v[12]/users/{POSITIVE}|docs/)$"),
        "X-Request-Id" => REQUEST_ID.to_owned(),
        _ => return,
    };
    set_pattern(header.schema.as_mut(), &pattern);
}

/// Sets the largest 64-bit number. By the standard, a format alone is no constraint.
fn set_maximum(schema: Option<&mut RefOr<Schema>>) {
    if let Some(number) = schema.and_then(object) {
        number.maximum = Some(Number::Int(isize::MAX));
    }
}

fn set_pattern(schema: Option<&mut RefOr<Schema>>, pattern: &str) {
    if let Some(text) = schema.and_then(object) {
        text.pattern = Some(pattern.to_owned());
    }
}

fn object(schema: &mut RefOr<Schema>) -> Option<&mut Object> {
    if let Schema::Object(object) = inline(schema)? { Some(object) } else { None }
}

/// The item itself, if it is no reference.
fn inline<T>(item: &mut RefOr<T>) -> Option<&mut T> {
    if let RefOr::T(item) = item { Some(item) } else { None }
}

/// Control characters, for use in a character class.
const CONTROLS: &str = r"\u0000-\u001f\u007f-\u009f";
/// Unicode white space, for use in a character class.
const WHITE: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// One entity tag (RFC 9110, 8.8.3).
const TAG: &str = r#"(?:W/)?"[\t -!#-~]*""#;
const ORDER: &str = "^-?(?:id|name|email)$";
const ANY: &str = r"^\*$";
const POSITIVE: &str = "[1-9][0-9]*";
const TYPES: &str = r"^user\.(?:created|updated|deleted)(?:,user\.(?:created|updated|deleted))*$";
/// Base64url of at least a format byte, an id and a checksum.
const PAGE_TOKEN: &str = "^[A-Za-z0-9_-]{18,}$";
const REQUEST_ID: &str = r"^[A-Za-z0-9._-]{1,64}$";
const NEXT_PAGE: &str = r#"^</api/v2/users\?[^>]+>; rel="next"$"#;

/// 1 to 100 characters, with any white space around them.
fn name() -> String {
    let edge = format!("[^{CONTROLS}{WHITE}]");
    format!("^[{WHITE}]*{edge}(?:[^{CONTROLS}]{{0,98}}{edge})?[{WHITE}]*$")
}

fn name_prefix() -> String {
    format!("^[^{CONTROLS}]*$")
}

/// As long as the schema says.
fn external_id() -> String {
    format!("^[^{CONTROLS}]+$")
}

/// A local part, quoted or not, and a domain.
fn email() -> String {
    let atoms = format!(r#"[^{CONTROLS} "(),.:;<>@\[\\\]]+"#);
    format!(r#"^(?:"[^{CONTROLS}]{{1,62}}"|{atoms}(?:\.{atoms})*)@{atoms}(?:\.{atoms})*\.?$"#)
}

/// `*`, or up to eight tags, separated by any number of commas.
fn tags() -> String {
    format!(r"^[\t ]*(?:\*|[\t ,]*{TAG}(?:[\t ]*,[\t ,]*{TAG}){{0,7}}[\t ,]*)[\t ]*$")
}
