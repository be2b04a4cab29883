//! Combinations that are refused although each value alone is fine.

use secrecy::ExposeSecret;
use url::Url;

use super::{DatabaseSettings, Needs, layers::DEFAULT_SOURCE, reader::Reader};
use crate::roles::{Role, RoleSet};

/// What the rules look at; `None` where the value itself is wrong already.
pub struct Facts<'a> {
    pub needs: Needs,
    pub is_production: bool,
    pub roles: &'a RoleSet,
    pub database: Option<&'a DatabaseSettings>,
    pub public_url: Option<&'a Url>,
}

/// Notes every refused combination.
pub fn check(reader: &mut Reader, facts: &Facts<'_>) {
    if facts.needs == Needs::ValuesOnly {
        return;
    }
    check_session_secret(reader, facts);
    if facts.is_production {
        check_short_secrets(reader);
        check_twitch(reader, facts.roles);
        check_split(reader, facts);
        check_public_url(reader, facts);
    }
}

/// A role that has its own keys already does without the session secret.
fn check_session_secret(reader: &mut Reader, facts: &Facts<'_>) {
    let is_needed = facts.roles.contains(Role::Gateway)
        || !reader.is_set("secrets.internal_token")
        || (facts.roles.contains(Role::TwitchProxy) && !reader.is_set("secrets.token_key"));
    let can_be_made = !facts.is_production && facts.database.is_none_or(|database| database.sqlite_file().is_some());
    if is_needed && !can_be_made && !reader.is_set("secrets.session") {
        reader.refuse_missing("secrets.session", " (at least 32 bytes, such as from `openssl rand -hex 32`)");
    }
}

fn check_short_secrets(reader: &mut Reader) {
    for (key, min) in [("secrets.token_key", 32), ("secrets.internal_token", 16)] {
        let shortest =
            reader.merged.get(key).and_then(|found| found.text.split(',').map(|part| part.trim().len()).min());
        if let Some(length) = shortest.filter(|length| *length < min) {
            reader.refuse(key, format!("{length} bytes are too few in production; at least {min} are needed"));
        }
    }
}

fn check_twitch(reader: &mut Reader, roles: &RoleSet) {
    let is_proxy = roles.contains(Role::TwitchProxy);
    // The gateway names the application in the address of the sign-in; the secret is the proxy's alone.
    for (key, is_needed) in
        [("twitch.client_id", is_proxy || roles.contains(Role::Gateway)), ("twitch.client_secret", is_proxy)]
    {
        if is_needed && !reader.is_set(key) {
            reader.refuse_missing(key, "");
        }
    }
}

fn check_split(reader: &mut Reader, facts: &Facts<'_>) {
    if !facts.roles.is_partial() {
        return;
    }
    if facts.database.is_some_and(|database| database.url.expose_secret().starts_with("sqlite:")) {
        reader.refuse(
            "database.url",
            "in production the roles can be split only on MariaDB; set DATABASE_URL to mysql://…",
        );
    }
    if !reader.is_set("redis.url") {
        reader.refuse_missing("redis.url", ", which split roles share in production");
    }
}

fn check_public_url(reader: &mut Reader, facts: &Facts<'_>) {
    let source = reader.merged.get("server.public_url").map_or(DEFAULT_SOURCE, |found| found.source.as_str());
    // The other roles never make an address for a browser, so they need not know it.
    let is_used =
        facts.roles.contains(Role::Gateway) || facts.roles.contains(Role::TwitchProxy) || source != DEFAULT_SOURCE;
    if let Some(url) = facts.public_url.filter(|url| is_used && url.scheme() != "https") {
        let message = format!("{} is not https, which production needs", url.as_str().trim_end_matches('/'));
        reader.refuse("server.public_url", message);
    }
}
