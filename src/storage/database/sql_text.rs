//! SQL text with named parameters, for what Diesel's DSL cannot express.

use std::sync::OnceLock;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;

/// An SQL text in which each `:name` is a parameter.
pub(crate) struct SqlText {
    text: &'static str,
    /// Diesel walks through a statement twice each time that it runs. To search a text takes longer than all else there.
    pieces: OnceLock<Vec<Piece>>,
}

/// The name of a parameter, and the text behind it.
type Piece = (&'static str, &'static str);

impl SqlText {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, pieces: OnceLock::new() }
    }

    /// Pushes the text, and replaces each `:name` by what `bind` pushes.
    pub(crate) fn push<'b>(
        &self,
        out: &mut AstPass<'_, 'b, Pg>,
        mut bind: impl FnMut(&str, &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>,
    ) -> QueryResult<()> {
        let pieces = self.pieces.get_or_init(|| cut(self.text));
        for (name, text) in pieces {
            if !name.is_empty() {
                bind(name, out)?;
            }
            out.push_sql(text);
        }
        Ok(())
    }
}

/// The first piece has no name.
fn cut(text: &'static str) -> Vec<Piece> {
    let after_name = |piece: &str| piece.find(|char: char| !char.is_ascii_lowercase() && char != '_');
    let mut pieces = text.split(':');
    let start = pieces.next().unwrap_or_default();
    let named = pieces.map(|piece| piece.split_at(after_name(piece).unwrap_or(piece.len())));
    [("", start)].into_iter().chain(named).collect()
}
