//! The body of an import: users in NDJSON, one on each line.

use futures_util::stream::{BoxStream, Stream, StreamExt as _, TryStreamExt as _};

use crate::fields::UserFields;
use crate::imported::OnConflict;
use crate::token::BoxError;

/// How many users that are ready are sent together. So many of the largest take 2 MiB.
const TOGETHER: usize = 100;

/// An upload of an import.
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) on_conflict: OnConflict,
    /// The line at which the users begin. `None` if they are all users of the import.
    pub(crate) from_line: Option<u64>,
    pub(crate) chunks: BoxStream<'static, Result<Vec<u8>, BoxError>>,
}

impl Upload {
    pub(crate) fn new<S, E>(id: &str, from_line: Option<u64>, users: S, on_conflict: OnConflict) -> Self
    where
        S: Stream<Item = Result<UserFields, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let lines = users.map(|user| user.map_err(Into::into).and_then(|user| line(&user)));
        let chunks = lines.ready_chunks(TOGETHER).map(|lines| lines.into_iter().collect::<Result<Vec<_>, _>>());
        let chunks = chunks.map_ok(|lines| lines.concat()).boxed();
        Self { id: id.to_owned(), on_conflict, from_line, chunks }
    }
}

/// A user on a line of its own. JSON has no line breaks of its own.
fn line(user: &UserFields) -> Result<Vec<u8>, BoxError> {
    let mut line = serde_json::to_vec(user)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn each_user_has_a_line() {
        let users = (0..250).map(|n| Ok::<_, BoxError>(UserFields::new("a\nb", format!("{n}@example.com"))));
        let upload = Upload::new("1", None, stream::iter(users), OnConflict::Fail);
        let chunks: Vec<Vec<u8>> = upload.chunks.try_collect().await.unwrap();
        let text = String::from_utf8(chunks.concat()).unwrap();
        assert_eq!((chunks.len(), text.lines().count()), (3, 250));
        assert_eq!(text.lines().next(), Some(r#"{"name":"a\nb","email":"0@example.com"}"#));
        assert!(text.ends_with('\n'));
    }

    #[tokio::test]
    async fn an_error_of_the_stream_breaks_the_body() {
        let users = [Ok(UserFields::new("a", "a@example.com")), Err("lost")];
        let upload = Upload::new("1", None, stream::iter(users), OnConflict::Fail);
        assert_eq!(upload.chunks.try_collect::<Vec<_>>().await.unwrap_err().to_string(), "lost");
    }
}
