//! HTTP to Twitch and nowhere else: fixed addresses, a closed list of routes, bounded time and size, no redirects.
//!
//! One call is one attempt; who retries, and after which wait, is decided in the gate, because every attempt costs a point.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{RequestBuilder, header::HeaderMap, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;

use crate::config::TwitchSettings;

use super::{TwitchError, circuit::Circuit};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// 1,000 chatters are some 100 kB, 100 profiles some 80 kB.
const MAX_BODY: usize = 2 << 20;

/// Parameters of a request, in order; Twitch wants several values as a repeated key.
pub type Query = Vec<(&'static str, String)>;

/// What may be asked of Helix. Source: dev.twitch.tv/docs/api/reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Who is in a chat.
    Chatters,
    /// Public profiles.
    Users,
    /// The channels somebody moderates.
    ModeratedChannels,
    /// Live broadcasts.
    Streams,
}

impl Route {
    const fn path(self) -> &'static str {
        match self {
            Self::Chatters => "/chat/chatters",
            Self::Users => "/users",
            Self::ModeratedChannels => "/moderation/channels",
            Self::Streams => "/streams",
        }
    }

    /// The name in metrics, logs and keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chatters => "chatters",
            Self::Users => "users",
            Self::ModeratedChannels => "moderated-channels",
            Self::Streams => "streams",
        }
    }
}

/// The headers in which Twitch tells how much of a bucket is left. Source: dev.twitch.tv/docs/api/guide#twitch-rate-limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Points added a minute.
    pub limit: Option<u32>,
    /// Points left now.
    pub remaining: Option<u32>,
    /// When the bucket is full again, in seconds since 1970.
    pub reset: Option<i64>,
}

impl RateHeaders {
    fn read(headers: &HeaderMap) -> Self {
        fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
            headers.get(name)?.to_str().ok()?.trim().parse().ok()
        }
        Self {
            limit: number(headers, "ratelimit-limit"),
            remaining: number(headers, "ratelimit-remaining"),
            reset: number(headers, "ratelimit-reset"),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub rate: RateHeaders,
    pub body: Bytes,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// No whole answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    pub reason: String,
    pub kind: FailureKind,
}

/// What is known about a call without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection, or an answer that was cut or makes no sense.
    Broken,
    /// All the time of a call has gone; it is not tried a second time.
    TimedOut,
    /// Twitch was not asked: it failed too often a moment ago.
    NotMade,
}

impl CallFailure {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: FailureKind::Broken }
    }

    pub fn not_made(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: FailureKind::NotMade }
    }
}

impl From<reqwest::Error> for CallFailure {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold parameters and says nothing new; the causes behind the outer error do.
        let error = error.without_url();
        let timed_out = error.is_timeout() && !error.is_connect();
        let kind = if timed_out { FailureKind::TimedOut } else { FailureKind::Broken };
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        Self { reason, kind }
    }
}

impl From<CallFailure> for TwitchError {
    fn from(failure: CallFailure) -> Self {
        Self::unavailable(failure.reason)
    }
}

/// The HTTP client, Twitch's addresses, and what keeps calls from an address that fails.
#[derive(Clone, Debug)]
pub struct TwitchHttp {
    client: reqwest::Client,
    helix_url: String,
    auth_url: String,
    helix: Circuit,
    auth: Circuit,
}

impl TwitchHttp {
    /// Fails only where the system offers no TLS.
    pub fn new(settings: &TwitchSettings) -> Result<Self, TwitchError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tca/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| TwitchError::unavailable(format!("no HTTP client: {error}")))?;
        let base = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
        let (helix, auth) = (Circuit::new("helix"), Circuit::new("oauth"));
        Ok(Self { client, helix_url: base(&settings.helix_url), auth_url: base(&settings.auth_url), helix, auth })
    }

    /// The breaker in front of Helix, and its budget of retries.
    pub fn helix_circuit(&self) -> &Circuit {
        &self.helix
    }

    /// Asks Helix once.
    pub async fn helix(
        &self,
        route: Route,
        query: &Query,
        client_id: &str,
        token: &SecretString,
    ) -> Result<Answer, CallFailure> {
        let request = self
            .client
            .get(format!("{}{}", self.helix_url, route.path()))
            .query(query)
            .header("Client-Id", client_id)
            .bearer_auth(token.expose_secret());
        let call = async {
            let (answer, _) = send(request, MAX_BODY).await?;
            if answer.is_success() {
                serde_json::from_slice::<IgnoredAny>(&answer.body)
                    .map_err(|error| CallFailure::new(format!("the answer is no JSON: {error}")))?;
            }
            Ok(answer)
        };
        self.helix.pass(call).await
    }

    /// Sends a form to id.twitch.tv, for example to `/token`.
    pub async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, CallFailure> {
        let request = self.client.post(format!("{}{path}", self.auth_url)).form(form);
        self.auth.pass(async { Ok(send(request, MAX_BODY).await?.0) }).await
    }

    /// Asks id.twitch.tv whose token this is.
    pub async fn validate(&self, token: Option<&SecretString>) -> Result<Answer, CallFailure> {
        let mut request = self.client.get(format!("{}/validate", self.auth_url));
        if let Some(token) = token {
            // The documented scheme here is OAuth, not Bearer.
            request = request.header("Authorization", format!("OAuth {}", token.expose_secret()));
        }
        self.auth.pass(async { Ok(send(request, MAX_BODY).await?.0) }).await
    }
}

/// Sends a request and reads the answer to its end; an answer that ends early or is larger than `max_body` is a failure.
pub async fn send(request: RequestBuilder, max_body: usize) -> Result<(Answer, HeaderMap), CallFailure> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let announced = response.content_length();
    let too_large = || CallFailure::new(format!("the answer is larger than {max_body} bytes"));
    if announced.is_some_and(|length| length > max_body as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    if announced.is_some_and(|length| length != body.len() as u64) {
        return Err(CallFailure::new("the answer was cut"));
    }
    Ok((Answer { status, rate: RateHeaders::read(&headers), body: body.freeze() }, headers))
}
