//! The questions to id.twitch.tv: tokens for a code, fresh tokens, the application's own token, whose token, revoke.
//! Source: dev.twitch.tv/docs/authentication (getting-tokens-oauth, refresh-tokens, validate-tokens, revoke-tokens).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::config::TwitchSettings;

use super::{
    TwitchError, TwitchUserId,
    answer::{message, parse},
    helix::{Answer, TwitchHttp},
};

/// This installation's application at Twitch.
#[derive(Clone, Debug)]
pub struct Application {
    pub client_id: String,
    client_secret: SecretString,
}

impl Application {
    /// `None` where the settings name none.
    pub fn new(settings: &TwitchSettings) -> Option<Self> {
        Some(Self { client_id: settings.client_id.clone()?, client_secret: settings.client_secret.clone()? })
    }
}

/// Tokens as Twitch hands them out.
#[derive(Debug, Deserialize)]
pub struct TokenGrant {
    #[serde(deserialize_with = "secret")]
    pub access_token: SecretString,
    /// How long the access token lives, in seconds. Twitch always says; without it the token is tried for an hour.
    #[serde(default = "an_hour")]
    pub expires_in: u32,
    #[serde(default, deserialize_with = "maybe_secret")]
    pub refresh_token: Option<SecretString>,
}

const fn an_hour() -> u32 {
    3_600
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn maybe_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()).map(SecretString::from))
}

/// Whose token it is. A token of the application has no user.
#[derive(Clone, Debug, Deserialize)]
pub struct Validation {
    pub client_id: String,
    #[serde(default)]
    pub user_id: Option<TwitchUserId>,
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// What a refresh came to.
#[derive(Debug)]
pub enum Refreshed {
    Granted(TokenGrant),
    /// The refresh token is not good any more, and will never be again.
    Refused,
}

/// Exchanges the code that the browser brought back.
pub async fn exchange(
    http: &TwitchHttp,
    app: &Application,
    code: &str,
    redirect_uri: &str,
) -> Result<TokenGrant, TwitchError> {
    let form = [
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.client_secret.expose_secret()),
        ("code", code),
        ("grant_type", "authorization_code"),
        ("redirect_uri", redirect_uri),
    ];
    granted(&http.post_form("/token", &form).await?)
}

/// The application's own token.
pub async fn app_token(http: &TwitchHttp, app: &Application) -> Result<TokenGrant, TwitchError> {
    let form = [
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.client_secret.expose_secret()),
        ("grant_type", "client_credentials"),
    ];
    granted(&http.post_form("/token", &form).await?)
}

/// Fresh tokens for a refresh token, which may be replaced on the way.
pub async fn refresh(
    http: &TwitchHttp,
    app: &Application,
    refresh_token: &SecretString,
) -> Result<Refreshed, TwitchError> {
    let form = [
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.client_secret.expose_secret()),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose_secret()),
    ];
    let answer = http.post_form("/token", &form).await?;
    if is_final_refusal(&answer) {
        return Ok(Refreshed::Refused);
    }
    granted(&answer).map(Refreshed::Granted)
}

/// A refusal of the refresh token, and not of the application: "invalid client" is the operator's mistake, and must not
/// cost everybody their sign-in.
fn is_final_refusal(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 401) && !message(&answer.body).to_lowercase().contains("client")
}

fn granted(answer: &Answer) -> Result<TokenGrant, TwitchError> {
    if !answer.is_success() {
        return Err(refused(answer));
    }
    // Not `parse`: the reason of a failure may quote the body.
    serde_json::from_slice(&answer.body).ok().ok_or_else(|| TwitchError::unavailable("unreadable tokens"))
}

/// Whose token it is; [`TwitchError::SignInAgain`] when it is nobody's any more.
pub async fn validate(http: &TwitchHttp, token: &SecretString) -> Result<Validation, TwitchError> {
    let answer = http.validate(Some(token)).await?;
    match answer.status {
        200 => parse(&answer.body),
        401 => Err(TwitchError::SignInAgain),
        _ => Err(refused(&answer)),
    }
}

/// Revokes an access token. One that Twitch does not know any more is as good as revoked.
pub async fn revoke(http: &TwitchHttp, app: &Application, token: &SecretString) -> Result<(), TwitchError> {
    let form = [("client_id", app.client_id.as_str()), ("token", token.expose_secret())];
    let answer = http.post_form("/revoke", &form).await?;
    match answer.status {
        200..300 | 400 | 401 => Ok(()),
        _ => Err(refused(&answer)),
    }
}

/// id.twitch.tv speaks of the request, not of the token it is for, so its statuses do not mean what Helix's do.
fn refused(answer: &Answer) -> TwitchError {
    let (status, message) = (answer.status, message(&answer.body));
    match status {
        500.. | 429 => TwitchError::unavailable(format!("status {status} {message}").trim_end()),
        _ => TwitchError::Rejected { status, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twitch::helix::RateHeaders;

    fn answer(status: u16, message: &str) -> Answer {
        let body = serde_json::json!({"status": status, "message": message}).to_string();
        Answer { status, rate: RateHeaders::default(), body: body.into() }
    }

    #[test]
    fn a_wrong_application_does_not_cost_a_user_their_tokens() {
        assert!(is_final_refusal(&answer(400, "Invalid refresh token")));
        assert!(is_final_refusal(&answer(401, "")));
        assert!(!is_final_refusal(&answer(400, "invalid client")));
        assert!(!is_final_refusal(&answer(403, "invalid client secret")));
        assert!(!is_final_refusal(&answer(503, "")));
    }

    #[test]
    fn tokens_are_read_whatever_form_their_scopes_have() {
        for scope in [r#","scope":["a","b"]"#, r#","scope":"a""#, ""] {
            let json = format!(r#"{{"access_token":"t","expires_in":14346,"token_type":"bearer"{scope}}}"#);
            let grant = granted(&Answer { status: 200, rate: RateHeaders::default(), body: json.into() }).unwrap();
            assert_eq!(grant.expires_in, 14_346);
            assert!(!format!("{grant:?}").contains("\"t\""));
        }
    }
}
