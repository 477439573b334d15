//! Query strings, as structs that serde deserializes.
//!
//! A field whose name ends with a dot takes all parameters whose names start so, as a map.
//!
//! An unknown parameter is an error: the service would answer a misspelt filter with all users. `serde_urlencoded` and
//! `serde_html_form` do not serve here. They read bytes that are not UTF-8 as U+FFFD, which asks for something else,
//! and their errors do not name the parameter.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::future::{Ready, ready};
use std::iter::{self, Peekable};
use std::vec;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;
use serde::de::value::MapDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::http::problem::Failure;

/// The parameters of a query string. Each may occur once.
///
/// A `u64` is a whole number from 1 up, and saturates. Of several wrong values, the first field's is reported.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parameters = T::deserialize(QueryString(request.query_string()));
        ready(parameters.map(Self).map_err(|InvalidQuery { parameter, detail }| {
            // The name may be the client's own. This much of it is enough to find it.
            Failure::InvalidQuery { parameter: parameter.chars().take(32).collect(), detail }
        }))
    }
}

/// Deserializes a field of a query by a parser of the domain, whose error is a phrase for the client.
pub(crate) fn parse_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(TextVisitor(parse))
}

struct TextVisitor<F>(F);

impl<T, F: FnOnce(&str) -> Result<T, &'static str>> Visitor<'_> for TextVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{parameter}: {detail}")]
struct InvalidQuery {
    parameter: String,
    detail: Cow<'static, str>,
}

impl InvalidQuery {
    fn new(parameter: &str, detail: &'static str) -> Self {
        Self { parameter: parameter.to_owned(), detail: detail.into() }
    }
}

impl serde::de::Error for InvalidQuery {
    fn custom<T: Display>(detail: T) -> Self {
        Self { parameter: String::new(), detail: detail.to_string().into() }
    }
}

struct QueryString<'de>(&'de str);

impl<'de> Deserializer<'de> for QueryString<'de> {
    type Error = InvalidQuery;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidQuery> {
        visitor.visit_map(Parameters::parse(self.0, fields)?)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, InvalidQuery> {
        Err(InvalidQuery::custom("a query string is a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The parameters of a query string, in the order of the struct's fields.
struct Parameters<'de> {
    rest: Peekable<vec::IntoIter<Parameter<'de>>>,
    fields: &'static [&'static str],
    value: Option<Parameter<'de>>,
}

struct Parameter<'de> {
    /// The place of the struct's field.
    field: usize,
    name: Cow<'de, str>,
    value: Cow<'de, str>,
}

impl<'de> Parameters<'de> {
    fn parse(query: &'de str, fields: &'static [&'static str]) -> Result<Self, InvalidQuery> {
        let mut parameters: Vec<Parameter<'de>> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| InvalidQuery::new(name, NOT_UTF8))?;
            let value = decode(value).ok_or_else(|| InvalidQuery::new(&name, NOT_UTF8))?;
            let Some(field) = fields.iter().position(|field| takes(field, &name)) else {
                return Err(InvalidQuery::new(&name, "is not known here"));
            };
            if parameters.len() == MAX_PARAMETERS {
                return Err(InvalidQuery::new(&name, "is one parameter too many"));
            }
            if parameters.iter().any(|other| other.name == name) {
                return Err(InvalidQuery::new(&name, "is given more than once"));
            }
            parameters.push(Parameter { field, name, value });
        }
        parameters.sort_by_key(|parameter| parameter.field);
        Ok(Self { rest: parameters.into_iter().peekable(), fields, value: None })
    }
}

/// Each is compared with each. No route has so many.
const MAX_PARAMETERS: usize = 64;

/// Whether a field takes the parameter with this name.
fn takes(field: &str, name: &str) -> bool {
    if field.ends_with('.') { name.len() > field.len() && name.starts_with(field) } else { name == field }
}

const NOT_UTF8: &str = "must be UTF-8, percent-encoded";

/// Decodes a name or a value (WHATWG URL, 5.1). `None` if the bytes are not UTF-8.
fn decode(encoded: &str) -> Option<Cow<'_, str>> {
    if encoded.contains('+') {
        let spaced = encoded.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned().into());
    }
    percent_decode_str(encoded).decode_utf8().ok()
}

impl<'de> MapAccess<'de> for Parameters<'de> {
    type Error = InvalidQuery;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, InvalidQuery> {
        let next = self.rest.next().and_then(|next| Some((*self.fields.get(next.field)?, next)));
        let Some((field, next)) = next else { return Ok(None) };
        self.value = Some(next);
        seed.deserialize(field.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, InvalidQuery> {
        let Some(first) = self.value.take() else { return Err(InvalidQuery::custom("a value without a name")) };
        let field = first.field;
        if let Some(prefix) = self.fields.get(field).filter(|field| field.ends_with('.')) {
            let more = iter::from_fn(|| self.rest.next_if(|next| next.field == field));
            let member =
                |Parameter { name, value, .. }: Parameter<'de>| (name.replacen(prefix, "", 1), value.into_owned());
            let members = Vec::from_iter(iter::once(first).chain(more).map(member));
            return seed.deserialize(MapDeserializer::new(members.into_iter()));
        }
        let Parameter { name, value, .. } = first;
        seed.deserialize(Value(value)).map_err(|error| InvalidQuery { parameter: name.into_owned(), ..error })
    }
}

/// The value of one parameter.
struct Value<'de>(Cow<'de, str>);

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = InvalidQuery;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidQuery> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidQuery> {
        let digits = !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_digit());
        match if digits { self.0.parse().unwrap_or(u64::MAX) } else { 0 } {
            0 => Err(InvalidQuery::custom("must be a whole number from 1 up")),
            number => visitor.visit_u64(number),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidQuery> {
        match &*self.0 {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(InvalidQuery::custom("must be true or false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidQuery> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Example {
        number: Option<u64>,
        text: Option<String>,
        flag: bool,
        #[serde(deserialize_with = "short")]
        short: String,
        #[serde(rename = "map.")]
        map: BTreeMap<String, String>,
    }

    fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        parse_text(deserializer, |text| if text.len() < 3 { Ok(text.to_owned()) } else { Err("must be short") })
    }

    fn parse(query: &str) -> Result<Example, String> {
        Example::deserialize(QueryString(query)).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_digits_and_saturate() {
        let number = |query| parse(query).unwrap().number;
        assert_eq!(
            (number(""), number("number=7"), number("number=99999999999999999999")),
            (None, Some(7), Some(u64::MAX))
        );
        for value in ["0", "-1", "", "1.5", "+1", "abc"] {
            let error = parse(&format!("number={value}")).unwrap_err();
            assert_eq!(error, "number: must be a whole number from 1 up", "{value}");
        }
    }

    #[test]
    fn flags_are_true_or_false() {
        assert!(!parse("").unwrap().flag && !parse("flag=false").unwrap().flag && parse("flag=true").unwrap().flag);
        for value in ["", "1", "True", "yes"] {
            assert_eq!(parse(&format!("flag={value}")).unwrap_err(), "flag: must be true or false", "{value}");
        }
    }

    #[test]
    fn form_encoding_is_decoded() {
        assert_eq!(parse("&text=%C3%A9+%2B%26=%3D&&").unwrap().text.unwrap(), "é +&==");
        assert_eq!(parse("%74ext").unwrap().text.unwrap(), "");
        for query in ["text=%ff", "text=%C3", "text=+%80"] {
            assert_eq!(parse(query).unwrap_err(), "text: must be UTF-8, percent-encoded", "{query}");
        }
        assert_eq!(parse("%ff=1").unwrap_err(), "%ff: must be UTF-8, percent-encoded");
    }

    #[test]
    fn unknown_and_repeated_parameters_are_errors() {
        assert_eq!(parse("m=1").unwrap_err(), "m: is not known here");
        assert_eq!(parse("text=1&text=1").unwrap_err(), "text: is given more than once");
        assert_eq!(parse("number=x&m=1").unwrap_err(), "m: is not known here", "before any value is looked at");
    }

    #[test]
    fn a_field_with_a_dot_takes_all_that_start_so() {
        let map = |query| parse(query).map(|example| Vec::from_iter(example.map));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(map("map.a=1&text=x&map.b.map.c=2%26&short=a"), Ok(vec![pair("a", "1"), pair("b.map.c", "2&")]));
        assert_eq!(map("map.=1").unwrap_err(), "map.: is not known here");
        assert_eq!(map("map=1").unwrap_err(), "map: is not known here");
        assert_eq!(map("map.a=1&map.%61=2").unwrap_err(), "map.a: is given more than once");
        let many = |count| Vec::from_iter((0..count).map(|n| format!("map.{n}=1"))).join("&");
        let (most, too_many) = (many(64), many(65));
        assert_eq!(map(&most).unwrap().len(), 64);
        assert_eq!(map(&too_many).unwrap_err(), "map.64: is one parameter too many");
        assert_eq!(map("map.a=1&short=long").unwrap_err(), "short: must be short");
    }

    #[test]
    fn a_parser_of_the_domain_names_the_error() {
        assert_eq!(parse("short=ab").unwrap().short, "ab");
        assert_eq!(parse("short=abc").unwrap_err(), "short: must be short");
    }

    #[test]
    fn the_first_field_is_reported_first() {
        assert_eq!(parse("flag=x&short=abc&number=x").unwrap_err(), "number: must be a whole number from 1 up");
        assert_eq!(parse("short=abc&flag=x").unwrap_err(), "flag: must be true or false");
    }
}
