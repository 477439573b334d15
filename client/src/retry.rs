//! Retries: only when they may help, after a pause, within the call's timeout, and within the retry budget.

use std::iter::Map;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use crate::budget::Budget;
use crate::call::{Attempt, Call, Kind};
use crate::error::{Error, Failed};
use crate::outcomes::Results;
use crate::problem::Code;
use crate::token::{Ask, Token};

/// If a tenth of all attempts fail, one call in 100,000 still fails after this many retries. A change that may have been
/// made is retried until its outcome is known, or its deadline has passed.
const MAX_RETRIES: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Makes calls, with their tokens, timeouts and retries.
pub(crate) struct Caller {
    pub(crate) token: Option<Token>,
    /// The timeout of one attempt.
    pub(crate) attempt_timeout: Duration,
    pub(crate) budget: Budget,
}

impl Caller {
    /// Makes a call and retries it until it succeeds or a retry cannot help.
    pub(crate) async fn call<T, F>(&self, call: &Call, kind: Kind, send: impl Fn(Attempt) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        self.budget.earn();
        let (mut retries, mut may_have_happened) = (0, false);
        let result = (|| self.attempt(call, &send))
            .retry(pauses(FIRST_PAUSE, LONGEST_PAUSE))
            .when(Failed::may_retry)
            .adjust(|failed, pause| {
                retries += 1;
                may_have_happened |= kind == Kind::Write && failed.may_have_happened();
                let goes_on = retries <= MAX_RETRIES || may_have_happened;
                self.pause(failed.retry_after(), pause.filter(|_| goes_on)?, call.deadline)
            })
            .await;
        result.map_err(|failed| {
            let request_id = call.request_id.clone();
            if may_have_happened {
                failed.into_error_after_unknown(kind, request_id)
            } else {
                failed.into_error(kind, request_id)
            }
        })
    }

    /// Makes a call that cannot be repeated, and has no deadline.
    pub(crate) async fn once<T, F>(&self, call: &Call, send: impl FnOnce(HeaderMap) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        self.budget.earn();
        let result = match self.headers(call, Ask::Usual).await {
            Ok(headers) => send(headers).await,
            Err(failed) => Err(failed),
        };
        result.map_err(|failed| failed.into_error(Kind::Write, call.request_id.clone()))
    }

    /// The pauses before a batch is sent again.
    pub(crate) fn batch_pauses(&self) -> BatchPauses<'_> {
        BatchPauses { caller: self, pauses: pauses(FIRST_PAUSE, LONGEST_PAUSE), retries: 0 }
    }

    /// The pause before the next attempt. `None` to stop retrying.
    fn pause(&self, retry_after: Duration, pause: Duration, deadline: Instant) -> Option<Duration> {
        // The jitter comes on top of what the service asks for, so that not all clients return at the same moment.
        let pause = retry_after.saturating_add(pause);
        let is_in_time = Instant::now().checked_add(pause).is_some_and(|next| next < deadline);
        (is_in_time && self.budget.spend()).then_some(pause)
    }

    /// Makes one attempt. If the service rejects its token, makes another with a new token: a request with an invalid
    /// token was not executed, so even a change may be repeated.
    async fn attempt<T, F>(&self, call: &Call, send: &impl Fn(Attempt) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let result = self.send(call, Ask::Usual, send).await;
        let Err(Failed::Problem(problem)) = &result else { return result };
        if problem.code == Code::InvalidToken && self.token.as_ref().is_some_and(Token::can_change) {
            return self.send(call, Ask::Refused, send).await;
        }
        result
    }

    async fn send<T, F>(&self, call: &Call, ask: Ask, send: &impl Fn(Attempt) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let headers = self.headers(call, ask).await?;
        if Instant::now() >= call.deadline {
            return Err(Failed::TooLate { sent: false });
        }
        let deadline = self.attempt_deadline(call);
        match timeout_at(deadline, send(Attempt { headers, deadline })).await {
            // The transport has a timeout too, which may fire first.
            Ok(Err(Failed::NoAnswer(_))) if Instant::now() >= call.deadline => Err(Failed::TooLate { sent: true }),
            Ok(result) => result,
            Err(late) if deadline < call.deadline => Err(Failed::NoAnswer(late.into())),
            Err(_) => Err(Failed::TooLate { sent: true }),
        }
    }

    /// The headers of a request, with a token.
    async fn headers(&self, call: &Call, ask: Ask) -> Result<HeaderMap, Failed> {
        let mut headers = call.headers();
        if let Some(token) = &self.token {
            let token = timeout_at(call.deadline, token.authorization(ask)).await;
            let token = token.map_err(|_| Failed::TooLate { sent: false })?.map_err(Failed::Token)?;
            headers.insert(http::header::AUTHORIZATION, token);
        }
        Ok(headers)
    }

    fn attempt_deadline(&self, call: &Call) -> Instant {
        Instant::now().checked_add(self.attempt_timeout).map_or(call.deadline, |it| it.min(call.deadline))
    }
}

/// The pauses before a batch is sent again because some of its operations were refused for now. They follow the rules of
/// other retries.
pub(crate) struct BatchPauses<'a> {
    caller: &'a Caller,
    pauses: Pauses,
    retries: usize,
}

impl BatchPauses<'_> {
    /// `None` if the batch is not to be sent again.
    pub(crate) fn before_repeating(&mut self, results: &Results, deadline: Instant) -> Option<Duration> {
        let retry_after = results.retry_after()?;
        self.retries += 1;
        let goes_on = self.retries <= MAX_RETRIES || results.is_unknown();
        self.caller.pause(retry_after, self.pauses.next().filter(|_| goes_on)?, deadline)
    }
}

pub(crate) type Pauses = Map<ExponentialBackoff, fn(Duration) -> Duration>;

/// Pauses with full jitter: uniformly distributed between zero and a bound that doubles, so that clients that failed
/// together do not return together. backon's own jitter only adds to the bound.
pub(crate) fn pauses(first: Duration, longest: Duration) -> Pauses {
    let bounds = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest).without_max_times();
    bounds.build().map(|bound| bound.mul_f64(fastrand::f64()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;
    use crate::call::Options;
    use crate::problem::Problem;
    use crate::token::BoxError;

    fn caller() -> Caller {
        Caller { token: None, attempt_timeout: Duration::from_secs(3), budget: Budget::new() }
    }

    fn within(timeout: Duration) -> Call {
        let options = Options { timeout, request_id: None, traceparent: None, idempotency_key: None };
        Call::begin(&options, Kind::Write)
    }

    fn overloaded(retry_after: Option<Duration>) -> Failed {
        Failed::Problem(Box::new(Problem { code: Code::Overloaded, retry_after, ..Problem::default() }))
    }

    /// The number of attempts of a call that always fails this way.
    async fn attempts(caller: &Caller, call: &Call, kind: Kind, fail: impl Fn() -> Failed) -> u32 {
        let attempts = AtomicU32::new(0);
        let result = caller.call(call, kind, async |_| {
            attempts.fetch_add(1, Relaxed);
            Err::<(), _>(fail())
        });
        result.await.unwrap_err();
        attempts.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_may_be_retried_has_five_attempts() {
        for kind in [Kind::Read, Kind::Write] {
            let tried = attempts(&caller(), &within(Duration::MAX), kind, || overloaded(None)).await;
            assert_eq!(tried, 5, "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_without_a_response_is_repeated_until_its_deadline() {
        let (begin, timeout) = (Instant::now(), Duration::from_secs(10));
        let tried = attempts(&caller(), &within(timeout), Kind::Write, || Failed::NoAnswer("cut".into())).await;
        assert!(tried > 5, "{tried}");
        assert!(begin.elapsed() > timeout / 2, "{:?}", begin.elapsed());
    }

    /// The first attempt may have made the change, although all others were refused.
    #[tokio::test(start_paused = true)]
    async fn what_an_earlier_attempt_may_have_done_stays_unknown() {
        let attempts = AtomicU32::new(0);
        let cut_and_then_overloaded = async |_| {
            let is_first = attempts.fetch_add(1, Relaxed) == 0;
            Err::<(), _>(if is_first { Failed::NoAnswer("cut".into()) } else { overloaded(None) })
        };
        let call = within(Duration::from_secs(10));
        let error = caller().call(&call, Kind::Write, cut_and_then_overloaded).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
        assert_eq!(error.code(), Some(&Code::Overloaded));
    }

    #[tokio::test(start_paused = true)]
    async fn retries_wait_for_as_long_as_the_service_asks() {
        let begin = Instant::now();
        let wait = Duration::from_secs(7);
        attempts(&caller(), &within(Duration::MAX), Kind::Read, || overloaded(Some(wait))).await;
        assert!(begin.elapsed() >= 4 * wait, "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_would_miss_the_deadline_is_not_waited_for() {
        let begin = Instant::now();
        let fail = || overloaded(Some(Duration::from_secs(7)));
        assert_eq!(attempts(&caller(), &within(Duration::from_secs(7)), Kind::Read, fail).await, 1);
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_add_a_fifth_to_the_load_of_a_service_that_is_down() {
        let caller = caller();
        let mut tried = 0;
        for _ in 0..1000 {
            tried += attempts(&caller, &within(Duration::MAX), Kind::Read, || Failed::NotSent("refused".into())).await;
        }
        assert!((1200..=1220).contains(&tried), "{tried}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_without_a_response_times_out_and_is_retried() {
        let attempts = AtomicU32::new(0);
        let silent_at_first = async |_| {
            if attempts.fetch_add(1, Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(7)
        };
        let answer = caller().call(&within(Duration::from_secs(10)), Kind::Read, silent_at_first).await;
        assert_eq!(answer.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_exceeds_its_timeout() {
        for (kind, is_unknown) in [(Kind::Read, false), (Kind::Write, true)] {
            let begin = Instant::now();
            let silent = |_| std::future::pending::<Result<(), Failed>>();
            let error = caller().call(&within(Duration::from_secs(2)), kind, silent).await.unwrap_err();
            assert_eq!(begin.elapsed().as_secs(), 2);
            assert_eq!(matches!(error, Error::OutcomeUnknown { .. }), is_unknown, "{error:?}");
            assert_eq!(matches!(error, Error::DeadlineExceeded { .. }), !is_unknown, "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_after_the_deadline() {
        let never = async |_| -> Result<(), Failed> { panic!("it was sent") };
        let error = caller().call(&within(Duration::ZERO), Kind::Write, never).await.unwrap_err();
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejected_token_is_replaced_once() {
        let token = Token::provider(|ask| async move { Ok::<_, BoxError>(format!("{ask:?}")) });
        let caller = Caller { token: Some(token), ..caller() };
        let seen = std::sync::Mutex::new(Vec::new());
        let refuse = async |attempt: Attempt| -> Result<(), Failed> {
            seen.lock().unwrap().push(attempt.headers[http::header::AUTHORIZATION].to_str().unwrap().to_owned());
            Err(Failed::Problem(Box::new(Problem { code: Code::InvalidToken, ..Problem::default() })))
        };
        let error = caller.call(&within(Duration::MAX), Kind::Write, refuse).await.unwrap_err();
        assert_eq!(error.code(), Some(&Code::InvalidToken));
        assert_eq!(*seen.lock().unwrap(), ["Bearer Usual", "Bearer Refused"]);
    }

    #[test]
    fn pauses_have_full_jitter_up_to_a_bound_that_doubles() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_millis(150));
        let mut least = [Duration::MAX; 4];
        for _ in 0..1000 {
            let some: Vec<_> = pauses(first, longest).take(4).collect();
            for ((pause, least), bound) in some.iter().zip(&mut least).zip([50, 100, 150, 150]) {
                assert!(*pause <= Duration::from_millis(bound), "{pause:?} of {bound} ms");
                *least = (*least).min(*pause);
            }
        }
        assert!(least.iter().all(|least| *least < first / 2), "{least:?}: the jitter is full");
    }
}
