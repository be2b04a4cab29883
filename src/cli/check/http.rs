//! What is reached over HTTP: Twitch, by a process that talks to it, and the roles that run elsewhere.

use anyhow::Context as _;
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::{Finding, PATIENCE};
use crate::{
    config::{Settings, TwitchSettings},
    roles::Role,
};

const SIGN_IN: &str = "twitch sign-in";
const API: &str = "twitch api";
const APPLICATION: &str = "twitch app";

pub fn client() -> anyhow::Result<Client> {
    let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    client.build().context("cannot make an HTTP client")
}

/// Asks Twitch, where this process would.
pub async fn twitch(client: &Client, settings: &Settings) -> Vec<Finding> {
    if !settings.roles.contains(Role::TwitchProxy) {
        let missing = settings.roles.contains(Role::Gateway) && settings.twitch.client_id.is_none();
        return missing.then(not_registered).into_iter().collect();
    }
    let twitch = &settings.twitch;
    let (sign_in, api, application) = tokio::join!(
        // Without a token both answer 401, which is an answer.
        reached(SIGN_IN, &twitch.auth_url, client.get(below(&twitch.auth_url, "validate")), "TWITCH_AUTH_URL"),
        reached(API, &twitch.helix_url, client.get(below(&twitch.helix_url, "users")), "TWITCH_HELIX_URL"),
        application(client, twitch),
    );
    vec![sign_in, api, application]
}

/// Asks the roles that this process needs and does not run.
pub async fn other_roles(client: &Client, settings: &Settings) -> Vec<Finding> {
    let runs = |role| settings.roles.contains(role);
    let needs_twitch = (runs(Role::Gateway) || runs(Role::Worker)) && !runs(Role::TwitchProxy);
    let needs_analysis = runs(Role::Gateway) && !runs(Role::Analysis);
    let twitch = ("twitch-proxy", &settings.twitch_api_base_url, "TWITCH_API_BASE_URL");
    let analysis = ("analysis", &settings.analysis_base_url, "ANALYSIS_BASE_URL");
    let needed = needs_twitch.then_some(twitch).into_iter().chain(needs_analysis.then_some(analysis));
    let asked = needed.map(|(part, base, variable)| healthy(client, part, base, variable));
    futures_util::future::join_all(asked).await
}

async fn healthy(client: &Client, part: &'static str, base: &Url, variable: &str) -> Finding {
    let advice = format!("start that role, or look at {variable}");
    match client.get(below(base, "healthz")).send().await {
        Ok(answer) if answer.status() == StatusCode::OK => Finding::ok(part, format!("answers at {}", bare(base))),
        Ok(answer) => Finding::fail(part, format!("{} answers {}", bare(base), answer.status()), advice),
        Err(error) => Finding::fail(part, format!("{} does not answer: {}", bare(base), cause(&error)), advice),
    }
}

async fn reached(part: &'static str, base: &Url, request: RequestBuilder, variable: &str) -> Finding {
    let advice = format!("look at {variable} and whether this machine may reach it");
    match request.send().await {
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
            Finding::fail(part, format!("{} answers, but not as Twitch does (404)", bare(base)), advice)
        }
        Ok(answer) if answer.status().is_server_error() => {
            let advice = "Twitch has trouble; work waits and goes on by itself";
            Finding::warn(part, format!("{} answers {}", bare(base), answer.status()), advice)
        }
        Ok(_) => Finding::ok(part, format!("{} answers", bare(base))),
        Err(error) => Finding::fail(part, format!("{} does not answer: {}", bare(base), cause(&error)), advice),
    }
}

fn not_registered() -> Finding {
    let advice = "set TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET; the start page says how to get them";
    Finding::warn(APPLICATION, "none is set: nobody can sign in", advice)
}

/// An application token; never printed.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// Twitch's words of refusal.
#[derive(Deserialize)]
struct Refused {
    message: String,
}

/// Gets a token for the application, and gives it back.
async fn application(client: &Client, twitch: &TwitchSettings) -> Finding {
    let (Some(id), Some(secret)) = (&twitch.client_id, &twitch.client_secret) else { return not_registered() };
    let form =
        [("client_id", id.as_str()), ("client_secret", secret.expose_secret()), ("grant_type", "client_credentials")];
    let answer = match client.post(below(&twitch.auth_url, "token")).form(&form).send().await {
        Ok(answer) => answer,
        Err(error) => return Finding::fail(APPLICATION, format!("not verified: {}", cause(&error)), ""),
    };
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    if let (true, Ok(granted)) = (status.is_success(), serde_json::from_slice::<Granted>(&body)) {
        let form = [("client_id", id.as_str()), ("token", granted.access_token.as_str())];
        // A token that stays behind runs out by itself.
        drop(client.post(below(&twitch.auth_url, "revoke")).form(&form).send().await);
        return Finding::ok(APPLICATION, format!("{id} is known to Twitch"));
    }
    let words = serde_json::from_slice::<Refused>(&body).map_or_else(|_| String::new(), |refused| refused.message);
    let finding = format!("Twitch refuses the application ({}) {words}", status.as_u16());
    Finding::fail(APPLICATION, finding, "look at TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET")
}

fn below(base: &Url, path: &str) -> String {
    format!("{}/{path}", bare(base))
}

fn bare(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// The last cause says it best: "connection refused".
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("nothing within {} s", PATIENCE.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
