//! Who was granted what: authorization codes, access tokens, refresh tokens.

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, distr::Alphanumeric};

/// Twitch: at most so many valid access tokens per refresh token; a further one ends the oldest.
const ACCESS_TOKENS_PER_GRANT: usize = 50;
const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// About 58 days, as Twitch grants to applications.
const APP_TOKEN_LIFETIME: TimeDelta = TimeDelta::seconds(5_000_000);

/// An access token, as its holder may learn about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) client_id: String,
    /// Account number of the user; none for an application's token.
    pub(super) user: Option<u32>,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: DateTime<Utc>,
    grant: u64,
}

/// What `POST /oauth2/token` hands out.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For Helix.
    pub access_token: String,
    /// Works once; none for applications.
    pub refresh_token: Option<String>,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// How long the access token lasts.
    pub expires_in: TimeDelta,
}

struct Code {
    client_id: String,
    redirect_uri: String,
    user: u32,
    scopes: Vec<String>,
    expires_at: DateTime<Utc>,
}

/// A user's consent: the refresh token of the moment and the access tokens that came from it and its predecessors.
struct Grant {
    client_id: String,
    user: u32,
    scopes: Vec<String>,
    access: VecDeque<String>,
}

/// Why a code was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CodeRefusal {
    Invalid,
    OtherRedirect,
}

#[derive(Default)]
pub(super) struct Ledger {
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, u64>,
    grants: HashMap<u64, Grant>,
    last_grant: u64,
}

impl Ledger {
    pub(super) fn issue_code(
        &mut self,
        client_id: &str,
        redirect_uri: &str,
        user: u32,
        scopes: Vec<String>,
        now: DateTime<Utc>,
    ) -> String {
        let code = secret(30);
        let entry = Code {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            user,
            scopes,
            expires_at: now + CODE_LIFETIME,
        };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// Exchanges a code. Whatever comes of it, the code is used up.
    pub(super) fn redeem(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Tokens, CodeRefusal> {
        let code = self.codes.remove(code).ok_or(CodeRefusal::Invalid)?;
        if code.client_id != client_id || code.expires_at <= now {
            return Err(CodeRefusal::Invalid);
        }
        if code.redirect_uri != redirect_uri {
            return Err(CodeRefusal::OtherRedirect);
        }
        Ok(self.grant(client_id, code.user, code.scopes, lifetime, now))
    }

    /// A new consent of `user`, with its first pair of tokens.
    pub(super) fn grant(
        &mut self,
        client_id: &str,
        user: u32,
        scopes: Vec<String>,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> Tokens {
        self.last_grant += 1;
        let grant = Grant { client_id: client_id.to_owned(), user, scopes, access: VecDeque::new() };
        self.grants.insert(self.last_grant, grant);
        self.issue(self.last_grant, lifetime, now)
    }

    pub(super) fn grant_app(&mut self, client_id: &str, now: DateTime<Utc>) -> Tokens {
        let access_token = secret(30);
        let access = Access {
            client_id: client_id.to_owned(),
            user: None,
            scopes: Vec::new(),
            expires_at: now + APP_TOKEN_LIFETIME,
            grant: 0,
        };
        self.access.insert(access_token.clone(), access);
        Tokens { access_token, refresh_token: None, scopes: Vec::new(), expires_in: APP_TOKEN_LIFETIME }
    }

    /// Exchanges a refresh token for a new pair; the old refresh token is dead afterwards.
    pub(super) fn refresh(
        &mut self,
        refresh_token: &str,
        client_id: &str,
        lifetime: TimeDelta,
        now: DateTime<Utc>,
    ) -> Option<Tokens> {
        let grant = *self.refresh.get(refresh_token)?;
        if self.grants.get(&grant)?.client_id != client_id {
            return None;
        }
        self.refresh.remove(refresh_token);
        Some(self.issue(grant, lifetime, now))
    }

    fn issue(&mut self, number: u64, lifetime: TimeDelta, now: DateTime<Utc>) -> Tokens {
        let (access_token, refresh_token) = (secret(30), secret(50));
        let mut scopes = Vec::new();
        if let Some(grant) = self.grants.get_mut(&number) {
            scopes.clone_from(&grant.scopes);
            let access = Access {
                client_id: grant.client_id.clone(),
                user: Some(grant.user),
                scopes: grant.scopes.clone(),
                expires_at: now + lifetime,
                grant: number,
            };
            self.access.insert(access_token.clone(), access);
            grant.access.push_back(access_token.clone());
            while grant.access.len() > ACCESS_TOKENS_PER_GRANT {
                if let Some(oldest) = grant.access.pop_front() {
                    self.access.remove(&oldest);
                }
            }
        }
        self.refresh.insert(refresh_token.clone(), number);
        Tokens { access_token, refresh_token: Some(refresh_token), scopes, expires_in: lifetime }
    }

    /// The token's rights, while it is valid.
    pub(super) fn look_up(&self, access_token: &str, now: DateTime<Utc>) -> Option<&Access> {
        self.access.get(access_token).filter(|access| access.expires_at > now)
    }

    /// Ends one token: an access token alone, a refresh token with all that came from it.
    pub(super) fn revoke(&mut self, token: &str, client_id: &str, now: DateTime<Utc>) -> bool {
        if let Some(access) = self.look_up(token, now) {
            let theirs = access.client_id == client_id;
            if theirs {
                self.access.remove(token);
            }
            return theirs;
        }
        let grant = self.refresh.get(token).copied();
        let of_client = |grant: &u64| self.grants.get(grant).is_some_and(|g| g.client_id == client_id);
        match grant.filter(of_client) {
            Some(grant) => {
                self.drop_grants(&HashSet::from([grant]));
                true
            }
            None => false,
        }
    }

    /// Lets access tokens run out now; refresh tokens go on. `user`: only theirs.
    pub(super) fn expire(&mut self, user: Option<u32>, now: DateTime<Utc>) -> usize {
        let mut expired = 0;
        for access in self.access.values_mut() {
            if user.is_none_or(|user| access.user == Some(user)) && access.expires_at > now {
                access.expires_at = now;
                expired += 1;
            }
        }
        expired
    }

    /// The user disconnects the application, or changes the password: every token of theirs dies.
    pub(super) fn disconnect(&mut self, user: u32) -> usize {
        let grants = self.grants.iter().filter(|(_, grant)| grant.user == user);
        let grants: HashSet<u64> = grants.map(|(number, _)| *number).collect();
        self.codes.retain(|_, code| code.user != user);
        self.drop_grants(&grants);
        grants.len()
    }

    /// Every token that is of use to somebody who finds it.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.access.keys().chain(self.refresh.keys()).cloned().collect()
    }

    fn drop_grants(&mut self, grants: &HashSet<u64>) {
        self.grants.retain(|number, _| !grants.contains(number));
        self.refresh.retain(|_, number| !grants.contains(number));
        self.access.retain(|_, access| !grants.contains(&access.grant));
    }
}

/// Lower-case letters and digits, as Twitch's tokens are.
fn secret(length: usize) -> String {
    let letters = rand::rng().sample_iter(Alphanumeric).map(char::from);
    letters.filter(|letter| !letter.is_ascii_uppercase()).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_refresh_token_works_once_and_the_access_tokens_stay() {
        let mut ledger = Ledger::default();
        let first = ledger.grant("demo", 1, vec![], HOUR, now());
        let refresh = first.refresh_token.unwrap();
        let second = ledger.refresh(&refresh, "demo", HOUR, now()).unwrap();
        assert!(ledger.refresh(&refresh, "demo", HOUR, now()).is_none());
        assert!(ledger.look_up(&first.access_token, now()).is_some());
        assert!(ledger.look_up(&second.access_token, now() + HOUR).is_none());
    }

    #[test]
    fn the_fifty_first_access_token_ends_the_first() {
        let mut ledger = Ledger::default();
        let first = ledger.grant("demo", 1, vec![], HOUR, now());
        let mut refresh = first.refresh_token.unwrap();
        for _ in 0..50 {
            assert!(ledger.look_up(&first.access_token, now()).is_some());
            refresh = ledger.refresh(&refresh, "demo", HOUR, now()).unwrap().refresh_token.unwrap();
        }
        assert!(ledger.look_up(&first.access_token, now()).is_none());
    }

    #[test]
    fn a_code_works_once_for_its_client_and_redirect_within_ten_minutes() {
        let mut ledger = Ledger::default();
        let issue = |ledger: &mut Ledger| ledger.issue_code("demo", "http://localhost/", 1, vec![], now());
        let code = issue(&mut ledger);
        let other = ledger.redeem(&code, "demo", "http://localhost/b", HOUR, now());
        assert_eq!(other.err(), Some(CodeRefusal::OtherRedirect));
        let again = ledger.redeem(&code, "demo", "http://localhost/", HOUR, now());
        assert_eq!(again.err(), Some(CodeRefusal::Invalid));
        let code = issue(&mut ledger);
        let late = ledger.redeem(&code, "demo", "http://localhost/", HOUR, now() + CODE_LIFETIME);
        assert!(late.is_err());
        let code = issue(&mut ledger);
        assert!(ledger.redeem(&code, "demo", "http://localhost/", HOUR, now()).is_ok());
    }

    #[test]
    fn disconnecting_ends_everything_of_that_user_only() {
        let mut ledger = Ledger::default();
        let one = ledger.grant("demo", 1, vec![], HOUR, now());
        let two = ledger.grant("demo", 2, vec![], HOUR, now());
        assert_eq!(ledger.disconnect(1), 1);
        assert!(ledger.look_up(&one.access_token, now()).is_none());
        assert!(ledger.refresh(&one.refresh_token.unwrap(), "demo", HOUR, now()).is_none());
        assert!(ledger.look_up(&two.access_token, now()).is_some());
        assert_eq!(ledger.expire(Some(2), now()), 1);
        assert!(ledger.refresh(&two.refresh_token.unwrap(), "demo", HOUR, now()).is_some());
    }
}
