use boon::{Compiler, Draft, Schemas};
use serde_json::{Map, Value};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An OpenAPI document, with enough of JSON Schema to validate an answer.
pub struct Spec(pub Value);

/// One method on one path.
pub struct Operation<'a> {
    pub method: String,
    pub path: &'a str,
    pub spec: &'a Value,
}

impl Spec {
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let methods = METHODS.iter().filter_map(|method| Some((*method, item.get(*method)?)));
            methods.map(move |(method, spec)| Operation { method: method.to_uppercase(), path, spec })
        });
        operations.collect()
    }

    pub fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.0["paths"].get(path)?.get(method.to_lowercase())
    }

    /// The documented response of an operation with this status.
    pub fn response(&self, method: &str, path: &str, status: u16) -> Option<&Value> {
        Some(self.resolve(self.operation(method, path)?["responses"].get(status.to_string())?))
    }

    /// The names of an operation's parameters in `place`, sorted.
    pub fn parameters(&self, method: &str, path: &str, place: &str) -> Vec<&str> {
        let own = self.operation(method, path).and_then(|operation| operation["parameters"].as_array());
        let shared = self.0["paths"][path]["parameters"].as_array();
        let all = own.into_iter().chain(shared).flatten().map(|parameter| self.resolve(parameter));
        let mut names: Vec<&str> =
            all.filter(|one| one["in"] == place).filter_map(|one| one["name"].as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The schema of a parameter.
    pub fn parameter(&self, method: &str, path: &str, name: &str) -> &Value {
        let parameters = self.operation(method, path).and_then(|operation| operation["parameters"].as_array());
        let found = parameters.into_iter().flatten().find(|parameter| parameter["name"] == name);
        &found.unwrap_or_else(|| panic!("{method} {path} has no parameter {name}"))["schema"]
    }

    /// The schema of an operation's request body.
    pub fn body(&self, method: &str, path: &str, content_type: &str) -> &Value {
        let operation = self.operation(method, path).expect("an operation");
        self.resolve(&operation["requestBody"]["content"][content_type]["schema"])
    }

    /// Follows `$ref` for as long as there is one.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(target) => {
                let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("not in this document: {target}"));
                self.resolve(self.0.pointer(pointer).unwrap_or_else(|| panic!("dangling: {target}")))
            }
            None => value,
        }
    }

    /// How a value differs from a schema.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(schema, value, "", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if !has_type(schema, value) {
            faults.push(format!("{at}: {value} is not {}", schema["type"]));
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            faults.push(format!("{at}: {value} is not one of {}", schema["enum"]));
        }
        if schema.get("const").is_some_and(|expected| expected != value) {
            faults.push(format!("{at}: {value} is not {}", schema["const"]));
        }
        self.check_choices(schema, value, at, faults);
        match value {
            Value::Object(members) => self.check_object(schema, members, at, faults),
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}/{place}"), faults);
                }
            }
            Value::Number(number) => check_number(schema, number.as_f64().unwrap_or_default(), at, faults),
            Value::String(text) => check_text(schema, text, at, faults),
            _ => {}
        }
    }

    fn check_choices(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, at, faults);
        }
        for choices in [&schema["oneOf"], &schema["anyOf"]].into_iter().filter_map(Value::as_array) {
            if !choices.iter().any(|choice| self.faults(choice, value).is_empty()) {
                faults.push(format!("{at}: {value} is none of {choices:?}"));
            }
        }
    }

    /// Reports undocumented members too, because the document must be complete.
    fn check_object(&self, schema: &Value, members: &Map<String, Value>, at: &str, faults: &mut Vec<String>) {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                faults.push(format!("{at}: {name} is missing"));
            }
        }
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        for (name, member) in members {
            match properties.get(name) {
                Some(property) => self.check(property, member, &format!("{at}/{name}"), faults),
                None => faults.push(format!("{at}: {name} is not documented")),
            }
        }
    }
}

/// Whether a value matches a schema without references, according to an independent validator.
pub fn keeps_to(schema: &Value, value: &Value) -> bool {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.add_resource("schema.json", schema.clone()).expect("a schema");
    let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("{schema}: {error:#}"));
    schemas.validate(value, index).is_ok()
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    };
    match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

fn check_number(schema: &Value, number: f64, at: &str, faults: &mut Vec<String>) {
    if schema["minimum"].as_f64().is_some_and(|least| number < least) {
        faults.push(format!("{at}: {number} is less than {}", schema["minimum"]));
    }
    if schema["maximum"].as_f64().is_some_and(|most| number > most) {
        faults.push(format!("{at}: {number} is more than {}", schema["maximum"]));
    }
}

fn check_text(schema: &Value, text: &str, at: &str, faults: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| length < least) {
        faults.push(format!("{at}: {text:?} is shorter than {}", schema["minLength"]));
    }
    if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
        faults.push(format!("{at}: {text:?} is longer than {}", schema["maxLength"]));
    }
    if schema["pattern"].is_string() && !keeps_to(schema, &text.into()) {
        faults.push(format!("{at}: {text:?} is not like {}", schema["pattern"]));
    }
    if schema["format"] == "date-time" && chrono::DateTime::parse_from_rfc3339(text).is_err() {
        faults.push(format!("{at}: {text:?} is not a time"));
    }
}
