//! An export in NDJSON: a user on each line, and an end that counts them.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use reqwest::RequestBuilder;
use serde::Deserialize;
use tokio::time::timeout;

use super::answer;
use crate::error::Failed;
use crate::list::Users;
use crate::user::User;

/// How long the service may take to go on. It tries for some seconds to read the next users.
const SILENCE: Duration = Duration::from_secs(45);
/// The longest line that is waited for.
const LONGEST: usize = 64 << 10;

pub(super) async fn open(request: RequestBuilder) -> Result<(i64, Users), Failed> {
    let response = answer::begin(request).await?;
    let resume_after = response.headers().get("resume-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let resume_after = resume_after.ok_or_else(|| Failed::foreign("no export"))?;
    let chunks = response.bytes_stream().map_ok(|chunk| chunk.to_vec()).map_err(|error| Failed::NoAnswer(error.into()));
    let lines = Lines { chunks: chunks.boxed(), unread: Vec::new(), begin: 0, users: 0 };
    let users = stream::try_unfold(lines, async |mut lines| {
        let user = lines.next_user().await?;
        Ok(user.map(|user| (user, lines)))
    });
    Ok((resume_after, users.boxed()))
}

struct Lines {
    chunks: BoxStream<'static, Result<Vec<u8>, Failed>>,
    unread: Vec<u8>,
    /// Where the next line begins.
    begin: usize,
    users: u64,
}

/// A line of an export. It is no untagged enum: with that the feature `arbitrary_precision` of `serde_json`, which a
/// program may turn on, could read no number.
enum Line {
    User(Box<User>),
    End(End),
}

#[derive(Deserialize)]
struct LastLine {
    end: End,
}

#[derive(Deserialize)]
struct End {
    users: u64,
}

impl Line {
    fn read(line: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line).map(Self::User).or_else(|no_user| {
            let last = serde_json::from_slice::<LastLine>(line);
            last.map(|line| Self::End(line.end)).map_err(|_| no_user)
        })
    }
}

impl Lines {
    /// The next user. `None` at the end that the export itself names.
    async fn next_user(&mut self) -> Result<Option<User>, Failed> {
        loop {
            if let Some(line) = self.line() {
                return match Line::read(&line) {
                    Ok(Line::User(user)) => {
                        self.users += 1;
                        Ok(Some(*user))
                    }
                    Ok(Line::End(end)) if end.users == self.users => Ok(None),
                    Ok(Line::End(_)) => Err(Failed::foreign("an export with another number of users than it has")),
                    Err(error) => Err(Failed::foreign(format!("a line of an export: {error}"))),
                };
            }
            let chunk = timeout(SILENCE, self.chunks.next()).await;
            let chunk = chunk.map_err(|_| Failed::NoAnswer("the export does not go on".into()))?;
            self.add(&chunk.ok_or_else(|| Failed::NoAnswer("the export has no end".into()))??)?;
        }
    }

    /// The next line that is there, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let rest = self.unread.get(self.begin..)?;
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest.get(..length)?.to_vec();
        self.begin += length + 1;
        Some(line)
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), Failed> {
        self.unread.drain(..self.begin);
        self.begin = 0;
        if self.unread.len() > LONGEST {
            return Err(Failed::foreign("a line of an export has no end"));
        }
        self.unread.extend_from_slice(chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOHN: &str = r#"{"id":1,"name":"J\u00f6hn","email":"j@example.com","version":1,
        "created_at":"2026-01-31T12:00:00Z","updated_at":"2026-01-31T12:00:00Z"}"#;

    /// The ids of the users, and whether the export is whole.
    async fn read(text: &str, size: usize) -> (Vec<i64>, bool) {
        let chunks = Vec::from_iter(text.as_bytes().chunks(size).map(|chunk| Ok(chunk.to_vec())));
        let mut lines = Lines { chunks: stream::iter(chunks).boxed(), unread: Vec::new(), begin: 0, users: 0 };
        let mut ids = Vec::new();
        loop {
            match lines.next_user().await {
                Ok(Some(user)) => ids.push(user.id),
                Ok(None) => return (ids, true),
                Err(_) => return (ids, false),
            }
        }
    }

    #[test]
    fn null_stands_for_what_a_user_has_not() {
        let line = JOHN.replace('}', r#","external_id":null,"status":"active","attributes":null}"#);
        let Line::User(john) = Line::read(line.as_bytes()).unwrap() else { panic!("{line}") };
        assert_eq!((&john.external_id, john.attributes.len()), (&None, 0));
    }

    #[tokio::test]
    async fn only_its_own_end_makes_it_whole() {
        let john = JOHN.replace('\n', "") + "\n";
        for size in [1, 7, 10_000] {
            for (text, users, is_whole) in [
                ("{\"end\":{\"users\":0}}\n".to_owned(), 0, true),
                (format!("{john}{john}{{\"end\":{{\"users\":2}}}}\n"), 2, true),
                (format!("{john}{{\"end\":{{\"users\":2}}}}\n"), 1, false),
                (format!("{john}{john}"), 2, false),
                (john.clone() + "{\"end\":{\"users\":1}}", 1, false),
                (format!("{john}nonsense\n"), 1, false),
                (String::new(), 0, false),
                ("x".repeat(3 * LONGEST), 0, false),
            ] {
                assert_eq!(read(&text, size).await, (vec![1; users], is_whole), "{text:.200} in {size}");
            }
        }
    }
}
