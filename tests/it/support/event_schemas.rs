use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

use super::file_of;

const TYPES: [&str; 3] = ["user.created", "user.updated", "user.deleted"];

/// The schemas of events in `docs/events/`.
pub struct EventSchemas {
    schemas: Schemas,
    types: Vec<(&'static str, SchemaIndex)>,
}

impl EventSchemas {
    pub fn read() -> Self {
        Self::of(|kind| format!("docs/events/{kind}.schema.json"))
    }

    /// The schemas of the releases before profiles. That of a deletion has not changed.
    pub fn earlier() -> Self {
        Self::of(|kind| match kind {
            "user.deleted" => "docs/events/user.deleted.schema.json".to_owned(),
            kind => format!("tests/it/events/earlier/{kind}.schema.json"),
        })
    }

    fn of(path: impl Fn(&str) -> String) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        let mut compile = |kind| {
            let file = file_of(&path(kind));
            let index = compiler.compile(file.to_str().expect("a path"), &mut schemas);
            (kind, index.unwrap_or_else(|error| panic!("{kind}: {error:#}")))
        };
        let types = TYPES.map(&mut compile).to_vec();
        Self { schemas, types }
    }

    /// Validates an event against the schema of its type, and returns what is wrong.
    pub fn fault(&self, event: &Value) -> Option<String> {
        let Some((_, index)) = self.types.iter().find(|(kind, _)| event["type"] == *kind) else {
            return Some(format!("no such type: {}", event["type"]));
        };
        self.schemas.validate(event, *index).err().map(|error| format!("{event}: {error:#}"))
    }
}
