//! SQL text with named parameters, for what Diesel's DSL cannot express.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;

/// Pushes an SQL text, and replaces each `:name` by what `bind` pushes.
pub(crate) fn push<'b>(
    text: &'static str,
    out: &mut AstPass<'_, 'b, Pg>,
    mut bind: impl FnMut(&str, &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut parts = text.split(':');
    out.push_sql(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_lowercase() && char != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        bind(name, out)?;
        out.push_sql(rest);
    }
    Ok(())
}
