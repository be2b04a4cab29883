//! The way to the `twitch-proxy` role in another process.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, header::HeaderMap, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use crate::{
    clock::Clock,
    wire::{
        DisconnectRequest, INTERNAL_TOKEN_HEADER, PROBLEM_JSON, Problem, SignInRequest, USER_HEADER, ValidateRequest,
    },
};

use super::{
    Identity, Query, Route, SignedIn, TwitchError,
    answer::parse,
    helix::{Answer, send},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// More than the role takes at worst: it waits 30 s for its turn, for a refresh, and may ask Twitch twice.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(90);
/// The merged list of moderated channels is the largest answer.
const MAX_BODY: usize = 8 << 20;

/// Asks the `twitch-proxy` role over HTTP; cheap to clone.
#[derive(Clone, Debug)]
pub struct ProxyClient {
    client: reqwest::Client,
    base_url: String,
    internal_token: SecretString,
    clock: Clock,
}

impl ProxyClient {
    /// A client of the role at `base_url`. Asks nobody yet; fails only where the system offers no TLS.
    pub fn new(base_url: &Url, internal_token: SecretString, clock: Clock) -> Result<Self, TwitchError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| TwitchError::unavailable(format!("no HTTP client: {error}")))?;
        let base_url = base_url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base_url, internal_token, clock })
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The answer to a question to Twitch, and how old it is.
    pub(super) async fn get(
        &self,
        identity: &Identity,
        route: Route,
        query: &Query,
    ) -> Result<(Answer, Duration), TwitchError> {
        let mut request = self.client.get(format!("{}/{}", self.base_url, route.as_str())).query(query);
        match identity {
            Identity::User(user) => request = request.header(USER_HEADER, *user),
            Identity::Bearer(token) => request = request.bearer_auth(token.expose_secret()),
            Identity::App => {}
        }
        let (answer, headers) = self.send(request).await?;
        let age = headers.get("Age").and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or(0);
        Ok((answer, Duration::from_secs(age)))
    }

    pub(super) async fn sign_in(&self, code: &str, redirect_uri: &str) -> Result<SignedIn, TwitchError> {
        let body = SignInRequest { code: code.to_owned(), redirect_uri: redirect_uri.to_owned() };
        parse(&self.post("/sign-in", &body).await?.body)
    }

    pub(super) async fn disconnect(&self, user_id: i64) -> Result<(), TwitchError> {
        self.post("/disconnect", &DisconnectRequest { user_id }).await.map(drop)
    }

    pub(super) async fn validate(&self, user_id: i64) -> Result<(), TwitchError> {
        self.post("/validate", &ValidateRequest { user_id }).await.map(drop)
    }

    pub(super) async fn ping(&self) -> Result<(), TwitchError> {
        let (answer, _) = self.send(self.client.get(format!("{}/ping", self.base_url))).await?;
        if answer.is_success() { Ok(()) } else { Err(unexpected(&answer)) }
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, TwitchError> {
        let (answer, _) = self.send(self.client.post(format!("{}{path}", self.base_url)).json(body)).await?;
        if answer.is_success() { Ok(answer) } else { Err(unexpected(&answer)) }
    }

    /// Sends a request; what the role itself refuses becomes the error it was there.
    async fn send(&self, request: RequestBuilder) -> Result<(Answer, HeaderMap), TwitchError> {
        let request = request.header(INTERNAL_TOKEN_HEADER, self.internal_token.expose_secret());
        let (answer, headers) = send(request, MAX_BODY)
            .await
            .map_err(|failure| TwitchError::unavailable(format!("the twitch-proxy role: {}", failure.reason)))?;
        let is_problem =
            headers.get("Content-Type").is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_JSON.as_bytes()));
        if !is_problem {
            return Ok((answer, headers));
        }
        let problem = serde_json::from_slice::<Problem>(&answer.body);
        Err(problem.map_or_else(|_| unexpected(&answer), |problem| TwitchError::from_problem(&problem)))
    }
}

/// An answer that no version of the role gives.
fn unexpected(answer: &Answer) -> TwitchError {
    TwitchError::unavailable(format!("the twitch-proxy role answers {}", answer.status))
}
