//! Sources of bearer tokens.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

/// Any error.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The source of the bearer token that a client sends with each call.
#[derive(Clone)]
pub struct Token(Source);

#[derive(Clone)]
enum Source {
    Fixed(Arc<SecretString>),
    Provider(Arc<Provider>),
}

type Provider = dyn Fn(Ask) -> BoxFuture<'static, Result<SecretString, BoxError>> + Send + Sync;

/// Why the client asks a provider for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The client is about to make a call. The last token is fine as long as it is valid.
    Usual,
    /// The service rejected the last token. Return another one.
    Refused,
}

impl Token {
    /// Sends the same token with every call.
    #[must_use]
    pub fn fixed(token: impl Into<String>) -> Self {
        Self(Source::Fixed(Arc::new(SecretString::from(token.into()))))
    }

    /// Asks the provider for a token before each attempt of a call. If the service rejects that token, the client asks
    /// once more and repeats the attempt with the new one. The provider should therefore cache its token for as long as
    /// it is valid. The time that the provider takes counts towards the call's timeout.
    ///
    /// ```
    /// use user_service_client::{Ask, Token};
    ///
    /// # async fn current_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// # async fn new_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let token = Token::provider(|ask| async move {
    ///     match ask {
    ///         Ask::Usual => current_token().await,
    ///         Ask::Refused => new_token().await,
    ///     }
    /// });
    /// ```
    pub fn provider<P, F, T, E>(provider: P) -> Self
    where
        P: Fn(Ask) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<String>,
        E: Into<BoxError>,
    {
        Self(Source::Provider(Arc::new(move |ask| {
            let answer = provider(ask);
            Box::pin(async move { Ok(SecretString::from(answer.await.map_err(Into::into)?.into())) })
        })))
    }

    /// Whether the source can supply a different token.
    pub(crate) fn can_change(&self) -> bool {
        matches!(self.0, Source::Provider(_))
    }

    /// The value of the `authorization` header.
    pub(crate) async fn authorization(&self, ask: Ask) -> Result<http::HeaderValue, BoxError> {
        let mut value = match &self.0 {
            Source::Fixed(token) => bearer(token),
            Source::Provider(provider) => bearer(&provider(ask).await?),
        }?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn bearer(token: &SecretString) -> Result<http::HeaderValue, BoxError> {
    Ok(http::HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))?)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn debug_output_hides_the_token() {
        let token = Token::fixed("secret");
        let value = token.authorization(Ask::Usual).await.unwrap();
        assert_eq!(value, "Bearer secret");
        assert!(!format!("{token:?} {value:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_token_that_is_no_valid_header_is_an_error() {
        assert!(Token::fixed("a\nb").authorization(Ask::Usual).await.is_err());
    }

    #[tokio::test]
    async fn a_provider_is_told_why_it_is_asked() {
        let token = Token::provider(|ask| async move { Ok::<_, BoxError>(format!("{ask:?}")) });
        assert_eq!(token.authorization(Ask::Refused).await.unwrap(), "Bearer Refused");
    }
}
