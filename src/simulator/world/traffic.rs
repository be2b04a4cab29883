//! Clients, tokens, points, faults and the log: the part of [`World`] that is about calls.

use chrono::TimeDelta;

use super::{Error, World};
use crate::simulator::{
    bucket::{Bucket, Level, Rate},
    call_log::Call,
    fault::{self, Faults, PlannedFault, Route},
    ledger::{Access, CodeRefusal, Tokens},
};

/// A Helix caller whose token is good.
#[derive(Clone, Debug)]
pub struct Fare {
    /// Account number; none for an application.
    pub(in crate::simulator) user: Option<u32>,
    pub(in crate::simulator) scopes: Vec<String>,
    pub(in crate::simulator) bucket: String,
}

/// Why a Helix caller was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such token, or it has expired or been revoked.
    BadToken,
    /// The token belongs to another client.
    OtherClient,
}

impl World {
    fn lifetime(&self) -> TimeDelta {
        TimeDelta::from_std(self.0.access_token_lifetime).unwrap_or(TimeDelta::MAX)
    }

    /// Registers a client, or gives it another secret.
    pub fn add_client(&self, client_id: &str, secret: &str) {
        self.state().clients.insert(client_id.to_owned(), secret.to_owned());
    }

    /// None: no such client; otherwise whether the secret is right.
    pub(in crate::simulator) fn check_client(&self, client_id: &str, secret: Option<&str>) -> Option<bool> {
        let state = self.state();
        state.clients.get(client_id).map(|right| Some(right.as_str()) == secret)
    }

    /// Allows a redirect address beyond those on this machine, which are always allowed.
    pub fn add_redirect_uri(&self, uri: &str) {
        self.state().redirect_uris.insert(uri.to_owned());
    }

    pub(in crate::simulator) fn allows_redirect(&self, uri: &str) -> bool {
        let Ok(parsed) = url::Url::parse(uri) else {
            return false;
        };
        let local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        (local && matches!(parsed.scheme(), "http" | "https")) || self.state().redirect_uris.contains(uri)
    }

    /// Tokens for a person without the way over the consent page.
    pub fn grant(&self, login: &str, scopes: &[&str]) -> Result<Tokens, Error> {
        let user = self.number(login)?;
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let (lifetime, now) = (self.lifetime(), self.now());
        Ok(self.state().ledger.grant("demo", user, scopes, lifetime, now))
    }

    pub(in crate::simulator) fn issue_code(
        &self,
        client_id: &str,
        redirect_uri: &str,
        user: u32,
        scopes: Vec<String>,
    ) -> String {
        let now = self.now();
        self.state().ledger.issue_code(client_id, redirect_uri, user, scopes, now)
    }

    pub(in crate::simulator) fn redeem(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
    ) -> Result<Tokens, CodeRefusal> {
        let (lifetime, now) = (self.lifetime(), self.now());
        self.state().ledger.redeem(code, client_id, redirect_uri, lifetime, now)
    }

    pub(in crate::simulator) fn refresh(&self, refresh_token: &str, client_id: &str) -> Option<Tokens> {
        let (lifetime, now) = (self.lifetime(), self.now());
        self.state().ledger.refresh(refresh_token, client_id, lifetime, now)
    }

    pub(in crate::simulator) fn grant_app(&self, client_id: &str) -> Tokens {
        let now = self.now();
        self.state().ledger.grant_app(client_id, now)
    }

    pub(in crate::simulator) fn look_up_token(&self, access_token: &str) -> Option<Access> {
        let now = self.now();
        self.state().ledger.look_up(access_token, now).cloned()
    }

    pub(in crate::simulator) fn revoke_token(&self, token: &str, client_id: &str) -> bool {
        let now = self.now();
        self.state().ledger.revoke(token, client_id, now)
    }

    /// Every access and refresh token that is not dead: what must be found nowhere outside the product's memory.
    pub fn secrets(&self) -> Vec<String> {
        self.state().ledger.secrets()
    }

    /// Lets access tokens expire now: those of one person, or all. Refresh tokens stay. Returns how many.
    pub fn expire_tokens(&self, login: Option<&str>) -> Result<usize, Error> {
        let user = login.map(|login| self.number(login)).transpose()?;
        let now = self.now();
        Ok(self.state().ledger.expire(user, now))
    }

    /// The person disconnects every application: all tokens of theirs die, refresh tokens too.
    pub fn disconnect(&self, login: &str) -> Result<usize, Error> {
        let user = self.number(login)?;
        Ok(self.state().ledger.disconnect(user))
    }

    pub(in crate::simulator) fn admit(&self, access_token: &str, client_id: &str) -> Result<Fare, Refused> {
        let access = self.look_up_token(access_token).ok_or(Refused::BadToken)?;
        if access.client_id != client_id {
            return Err(Refused::OtherClient);
        }
        let whose = access.user.map_or_else(|| "app".to_owned(), |user| self.id_of(user).to_string());
        Ok(Fare { user: access.user, scopes: access.scopes, bucket: format!("{client_id}:{whose}") })
    }

    /// Takes a point out of the caller's bucket.
    pub(in crate::simulator) fn take_point(&self, bucket: &str) -> Result<Level, Level> {
        let now = self.now();
        let mut state = self.state();
        let rate = state.rate;
        let bucket = state.buckets.entry(bucket.to_owned());
        bucket.or_insert_with(|| Bucket::full(rate, now)).take(rate, now)
    }

    /// The limits of every bucket.
    pub fn rate(&self) -> Rate {
        self.state().rate
    }

    /// Changes the limits of every bucket and fills them all.
    pub fn set_rate(&self, rate: Rate) {
        let mut state = self.state();
        state.rate = rate;
        state.buckets.clear();
    }

    /// Orders a fault.
    pub fn plan_fault(&self, planned: PlannedFault) {
        self.state().faults.push(planned);
    }

    /// Orders that are not fulfilled yet.
    pub fn planned_faults(&self) -> Vec<PlannedFault> {
        self.state().faults.clone()
    }

    /// Takes back every order.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    pub(in crate::simulator) fn begin_call(&self, route: Route, target: String) -> (u64, Faults) {
        let mut state = self.state();
        let number = state.log.begin(route, target);
        (number, fault::meet(&mut state.faults, route))
    }

    pub(in crate::simulator) fn amend_call(&self, number: u64, change: impl FnOnce(&mut Call)) {
        self.state().log.amend(number, change);
    }

    /// The calls after the one with this number (0: all that are kept), oldest first.
    pub fn calls_after(&self, number: u64) -> Vec<Call> {
        self.state().log.after(number)
    }
}
