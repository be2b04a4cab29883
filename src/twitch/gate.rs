//! The one gate to Twitch: every call passes the rate limit, carries a good token, and is answered from a cache where one
//! may be. The `twitch-proxy` role hands its answers on as they are; [`super::TwitchClient`] reads them into values.

use std::{fmt, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rand::Rng;
use sea_orm::DatabaseConnection;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::{clock::Clock, config::TwitchSettings, secrets::TokenCipher, store::Store};

use super::{
    REQUIRED_SCOPES, SignedIn, TwitchError,
    answer::{self, List, RawUser},
    answer_cache::{AnswerCache, Failed, Kept},
    helix::{Answer, CallFailure, FailureKind, Query, RateHeaders, Route, TwitchHttp},
    oauth::{self, Application},
    rate_limit::{Bucket, Limiter, MAX_WAIT},
    token_rows::Person,
    tokens::Tokens,
};

/// With whose token Twitch is asked.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The stored token of a user (`users.id`).
    User(i64),
    /// A user's token that the caller brings.
    Bearer(SecretString),
    /// The application's own.
    App,
}

impl Identity {
    /// Tells identities apart in keys, without giving a token away.
    fn key(&self) -> String {
        match self {
            Self::User(user) => format!("user:{user}"),
            Self::Bearer(token) => format!("bearer:{}", fingerprint(token)),
            Self::App => "app".to_owned(),
        }
    }
}

fn fingerprint(token: &SecretString) -> blake3::Hash {
    blake3::hash(token.expose_secret().as_bytes())
}

/// Twitch's answer, whatever its status, and where it comes from.
#[derive(Clone, Debug)]
pub struct GateAnswer {
    pub status: u16,
    pub body: Bytes,
    /// Twitch's rate headers; empty when nothing was asked.
    pub rate: RateHeaders,
    /// Whether Twitch was not asked for it now.
    pub is_hit: bool,
    /// How long ago Twitch gave it.
    pub age: Duration,
}

impl GateAnswer {
    fn fresh(answer: Answer) -> Self {
        Self { status: answer.status, body: answer.body, rate: answer.rate, is_hit: false, age: Duration::ZERO }
    }

    fn kept(kept: &Kept, is_hit: bool) -> Self {
        let rate = if is_hit { RateHeaders::default() } else { kept.rate };
        Self { status: 200, body: kept.body.clone(), rate, is_hit, age: kept.at.elapsed() }
    }
}

/// A token at hand, its bucket, and how to get a better one.
pub(super) struct Caller {
    token: SecretString,
    bucket: Bucket,
    renewal: Renewal,
}

enum Renewal {
    User { user: i64, generation: i64 },
    App { generation: i64 },
    Never,
}

/// Holds the rate limit, the tokens and the caches, and is the only one to talk to Twitch.
pub struct Gate {
    http: TwitchHttp,
    limiter: Limiter,
    tokens: Tokens,
    cache: AnswerCache,
    clock: Clock,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// A gate over the shared database and store. Asks nobody yet; fails only where the system offers no TLS.
    pub fn new(
        settings: &TwitchSettings,
        db: DatabaseConnection,
        store: Store,
        clock: Clock,
        cipher: TokenCipher,
    ) -> Result<Self, TwitchError> {
        let http = TwitchHttp::new(settings)?;
        let limiter = Limiter::new(store.clone(), clock.clone(), settings.requests_per_second);
        let app = Application::new(settings);
        let tokens = Tokens::new(db, store, clock.clone(), cipher, http.clone(), app);
        Ok(Self { http, limiter, tokens, cache: AnswerCache::new(), clock })
    }

    /// Asks Twitch, or a cache of what it said. The answer may well be a refusal by Twitch; an error is one of the gate's own.
    pub async fn call(&self, identity: &Identity, route: Route, query: Query) -> Result<GateAnswer, TwitchError> {
        let mut caller = Box::pin(self.caller(identity)).await?;
        let result = match route {
            Route::Chatters => {
                Box::pin(self.ask(&mut caller, route, &query)).await.map(GateAnswer::fresh).map_err(Failed::Own)
            }
            Route::Users => self.users(&mut caller, query).await,
            Route::Streams => self.streams(&mut caller, query).await,
            Route::ModeratedChannels => self.moderated_channels(&mut caller, identity, query).await,
        };
        match result {
            Ok(answer) => Ok(answer),
            Err(Failed::Twitch(answer)) => Ok(GateAnswer::fresh(answer)),
            Err(Failed::Own(error)) => Err(error),
        }
    }

    /// Waits for refreshes that are under way: their tokens are the only ones left. To be called when a process stops,
    /// after its servers.
    pub async fn settle(&self) {
        self.tokens.settle().await;
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn users(&self, caller: &mut Caller, query: Query) -> Result<GateAnswer, Failed> {
        if query.is_empty() {
            // Twitch then speaks of the token's own user: nothing to share.
            return Ok(GateAnswer::fresh(Box::pin(self.ask(caller, Route::Users, &query)).await?));
        }
        let ask = |missing: Query| async move { self.ask_for_success(caller, Route::Users, &missing).await };
        let (kept, is_hit) = self.cache.people.get(query, ask).await?;
        Ok(GateAnswer::kept(&kept, is_hit))
    }

    async fn streams(&self, caller: &mut Caller, mut query: Query) -> Result<GateAnswer, Failed> {
        query.sort();
        let key = format!("{query:?}");
        let ask = async { Ok(Kept::new(self.ask_for_success(caller, Route::Streams, &query).await?)) };
        let (kept, is_hit) = AnswerCache::get(&self.cache.streams, key, ask).await?;
        Ok(GateAnswer::kept(&kept, is_hit))
    }

    /// All pages in one: a list with a hole would show a moderator fewer channels than they have.
    async fn moderated_channels(
        &self,
        caller: &mut Caller,
        identity: &Identity,
        query: Query,
    ) -> Result<GateAnswer, Failed> {
        let key = format!("{}|{query:?}", identity.key());
        let ask = async { self.all_pages(caller, Route::ModeratedChannels, query).await };
        let (kept, is_hit) = AnswerCache::get(&self.cache.moderated_channels, key, ask).await?;
        Ok(GateAnswer::kept(&kept, is_hit))
    }

    async fn all_pages(&self, caller: &mut Caller, route: Route, query: Query) -> Result<Kept, Failed> {
        const PAGE: usize = 100;
        const MAX_PAGES: usize = 100;
        let mut data: Vec<serde_json::Value> = Vec::new();
        let mut cursors: Vec<String> = Vec::new();
        loop {
            let mut page_query = query.clone();
            page_query.push(("first", PAGE.to_string()));
            page_query.extend(cursors.last().map(|cursor| ("after", cursor.clone())));
            let answer = self.ask_for_success(caller, route, &page_query).await?;
            let page: List<serde_json::Value> = answer::parse(&answer.body)?;
            let next = page.next().map(ToOwned::to_owned);
            data.extend(page.data);
            let Some(next) = next else {
                let body = serde_json::json!({ "data": data, "pagination": {} }).to_string();
                return Ok(Kept::new(Answer { body: body.into(), ..answer }));
            };
            if cursors.len() + 1 >= MAX_PAGES || cursors.contains(&next) {
                return Err(TwitchError::unavailable("the pages do not come to an end").into());
            }
            cursors.push(next);
        }
    }

    async fn ask_for_success(&self, caller: &mut Caller, route: Route, query: &Query) -> Result<Answer, Failed> {
        let answer = Box::pin(self.ask(caller, route, query)).await?;
        if answer.is_success() { Ok(answer) } else { Err(Failed::Twitch(answer)) }
    }

    /// Asks Helix until there is an answer to hand on: waits its turn and Twitch's 429s out, replaces a token that is not good
    /// once, tries once more after a failure of Twitch's where not too much fails. Fails at once while Twitch is left alone.
    async fn ask(&self, caller: &mut Caller, route: Route, query: &Query) -> Result<Answer, TwitchError> {
        let deadline = Instant::now() + MAX_WAIT;
        let client_id = &self.tokens.application()?.client_id;
        let circuit = self.http.helix_circuit();
        let (mut renewed, mut failed) = (false, false);
        circuit.note_call();
        loop {
            circuit.check()?;
            self.limiter.acquire(&caller.bucket, route, deadline).await?;
            let result = self.http.helix(route, query, client_id, &caller.token).await;
            count(route, &result);
            let again = match &result {
                Ok(answer) => {
                    self.limiter.observe(&caller.bucket, route, answer).await;
                    match answer.status {
                        // The limiter now knows how long to wait, and whether that is too long.
                        429 => continue,
                        500.. => !std::mem::replace(&mut failed, true) && circuit.may_retry(),
                        status if !renewed && answer::is_bad_token(status, &answer.body) => {
                            renewed = true;
                            if self.renew(caller).await? {
                                continue;
                            }
                            false
                        }
                        _ => false,
                    }
                }
                Err(failure) => {
                    failure.kind == FailureKind::Broken && !std::mem::replace(&mut failed, true) && circuit.may_retry()
                }
            };
            if !again {
                return Ok(result?);
            }
            let pause = rand::rng().random_range(100..400);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn caller(&self, identity: &Identity) -> Result<Caller, TwitchError> {
        let client_id = &self.tokens.application()?.client_id;
        match identity {
            Identity::User(user) => {
                let token = self.tokens.of_user(*user).await?;
                let renewal = Renewal::User { user: *user, generation: token.generation };
                Ok(Caller { token: token.access, bucket: Bucket::of_user(client_id, token.twitch_user_id), renewal })
            }
            Identity::App => {
                let (token, generation) = self.tokens.of_app(None).await?;
                Ok(Caller { token, bucket: Bucket::of_app(client_id), renewal: Renewal::App { generation } })
            }
            Identity::Bearer(token) => {
                let key = fingerprint(token);
                let validate = self.tokens.validate(token);
                let known = self.cache.validations.try_get_with(key, validate).await;
                let known = known.map_err(|error| TwitchError::clone(&error))?;
                let bucket =
                    known.user_id.map_or_else(|| Bucket::of_app(client_id), |user| Bucket::of_user(client_id, user));
                Ok(Caller { token: token.clone(), bucket, renewal: Renewal::Never })
            }
        }
    }

    /// Replaces a token that Twitch takes no more; false where there is no way to.
    async fn renew(&self, caller: &mut Caller) -> Result<bool, TwitchError> {
        match &mut caller.renewal {
            Renewal::User { user, generation } => {
                let token = self.tokens.refreshed(*user, *generation).await?;
                (caller.token, *generation) = (token.access, token.generation);
                Ok(true)
            }
            Renewal::App { generation } => {
                (caller.token, *generation) = self.tokens.of_app(Some(*generation)).await?;
                Ok(true)
            }
            Renewal::Never => {
                self.cache.validations.invalidate(&fingerprint(&caller.token)).await;
                Ok(false)
            }
        }
    }

    pub(super) async fn sign_in(&self, code: &str, redirect_uri: &str) -> Result<SignedIn, TwitchError> {
        let app = self.tokens.application()?;
        let grant = oauth::exchange(&self.http, app, code, redirect_uri).await?;
        let validation = self.tokens.validate(&grant.access_token).await?;
        let twitch_user_id = validation.user_id.ok_or_else(|| TwitchError::unavailable("a token of nobody"))?;
        let scopes = validation.scopes.unwrap_or_default();
        if let Some(scope) = REQUIRED_SCOPES.iter().find(|scope| !scopes.iter().any(|granted| granted == *scope)) {
            // Nobody will use it.
            if let Err(error) = oauth::revoke(&self.http, app, &grant.access_token).await {
                tracing::warn!(%error, "a token without the permissions we need stays valid until it expires");
            }
            return Err(TwitchError::MissingScope { scope: (*scope).to_owned() });
        }
        let mut caller = Caller {
            token: grant.access_token.clone(),
            bucket: Bucket::of_user(&app.client_id, twitch_user_id),
            renewal: Renewal::Never,
        };
        let answer = Box::pin(self.ask(&mut caller, Route::Users, &Vec::new())).await?;
        if !answer.is_success() {
            return Err(answer::refusal(answer.status, &answer.body));
        }
        let own: List<RawUser> = answer::parse(&answer.body)?;
        let own = own.data.into_iter().find(|user| user.id == twitch_user_id);
        let own = super::Profile::try_from(own.ok_or_else(|| TwitchError::unavailable("no profile of its own"))?)?;
        let person = Person { twitch_user_id, login: own.login, display_name: own.display_name, scopes };
        let user_id = self.tokens.keep(&person, &grant).await?;
        let Person { twitch_user_id, login, display_name, scopes } = person;
        Ok(SignedIn { user_id, twitch_user_id, login, display_name, scopes })
    }

    pub(super) async fn disconnect(&self, user: i64) -> Result<(), TwitchError> {
        self.tokens.disconnect(user).await
    }

    /// Validates the stored tokens of `user` where that was not done lately.
    pub(super) async fn validate(&self, user: i64) -> Result<(), TwitchError> {
        let result = self.tokens.look_after(user).await;
        let outcome = result.as_ref().map_or_else(TwitchError::kind, |()| "ok");
        metrics::counter!("tca_twitch_token_validations_total", "outcome" => outcome).increment(1);
        result
    }

    /// Whether Twitch answers. Asked at most every 10 s, however many want to know.
    pub(super) async fn ping(&self) -> Result<(), TwitchError> {
        self.tokens.application()?;
        let ask = async {
            // Without a token Twitch answers 401, which is an answer.
            match self.http.validate(None).await {
                Ok(answer) if answer.status < 500 => Ok(()),
                Ok(answer) => Err(answer::refusal(answer.status, &answer.body)),
                Err(failure) => Err(failure.into()),
            }
        };
        self.cache.reachable.get_with((), ask).await
    }
}

fn count(route: Route, result: &Result<Answer, CallFailure>) {
    if result.as_ref().is_err_and(|failure| failure.kind == FailureKind::NotMade) {
        return;
    }
    let status = result.as_ref().map_or_else(|_| "none".to_owned(), |answer| answer.status.to_string());
    metrics::counter!("tca_twitch_calls_total", "route" => route.as_str(), "status" => status).increment(1);
}
