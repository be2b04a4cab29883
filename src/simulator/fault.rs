//! Misbehaviour on order: which call of which route goes wrong, and how.

use std::{str::FromStr, time::Duration};

use serde::Serialize;

/// The routes that can be made to fail, as they are named in the log and on the control page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// `GET /oauth2/authorize` and its form.
    Authorize,
    /// `POST /oauth2/token`.
    Token,
    /// `GET /oauth2/validate`.
    Validate,
    /// `POST /oauth2/revoke`.
    Revoke,
    /// `GET /helix/users`.
    Users,
    /// `GET /helix/chat/chatters`.
    Chatters,
    /// `GET /helix/moderation/channels`.
    ModeratedChannels,
    /// `GET /helix/streams`.
    Streams,
    /// `GET /helix/channels/followers`.
    Followers,
}

impl Route {
    /// All routes, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Authorize,
        Self::Token,
        Self::Validate,
        Self::Revoke,
        Self::Users,
        Self::Chatters,
        Self::ModeratedChannels,
        Self::Streams,
        Self::Followers,
    ];

    /// The name on the control page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Validate => "validate",
            Self::Revoke => "revoke",
            Self::Users => "users",
            Self::Chatters => "chatters",
            Self::ModeratedChannels => "moderated-channels",
            Self::Streams => "streams",
            Self::Followers => "followers",
        }
    }
}

impl FromStr for Route {
    type Err = super::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|route| route.as_str() == name);
        found.ok_or_else(|| super::Error::Invalid(format!("there is no route {name:?}")))
    }
}

/// One way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Answers this error status instead; 401 says `Invalid OAuth token`. For 429 see the next two.
    Status(u16),
    /// 429 with nothing remaining and a reset this many seconds away.
    BucketEmpty(u32),
    /// 429 although points remain: a limit of the endpoint, not of the bucket.
    EndpointLimit,
    /// Answers later, by so many milliseconds.
    Latency(u64),
    /// Never answers.
    Hang,
    /// Promises the whole body, sends half of it and closes the connection.
    CutBody,
    /// 200 with a body that is not JSON.
    InvalidJson,
    /// The answer's cursor is the one it was asked with, so that the next page is the same.
    RepeatCursor,
    /// The page starts with the last ten people of the page before.
    DuplicateChatters,
    /// No `Ratelimit-…` header.
    NoRateHeaders,
    /// `Ratelimit-Reset: soon`.
    MalformedReset,
}

impl Fault {
    /// A fault by its name on the control page and the number given with it.
    pub fn parse(name: &str, value: Option<u64>) -> Result<Self, super::Error> {
        let small = |default: u32| value.map_or(default, |value| u32::try_from(value).unwrap_or(default));
        Ok(match name {
            "status" => {
                let status = value.and_then(|value| u16::try_from(value).ok()).unwrap_or(500);
                if !(400..=599).contains(&status) {
                    return Err(super::Error::Invalid("status: 400 to 599".to_owned()));
                }
                Self::Status(status)
            }
            "bucket-empty" => Self::BucketEmpty(small(5)),
            "endpoint-limit" => Self::EndpointLimit,
            "latency" => Self::Latency(value.unwrap_or(1_000)),
            "hang" => Self::Hang,
            "cut-body" => Self::CutBody,
            "invalid-json" => Self::InvalidJson,
            "repeat-cursor" => Self::RepeatCursor,
            "duplicate-chatters" => Self::DuplicateChatters,
            "no-rate-headers" => Self::NoRateHeaders,
            "malformed-reset" => Self::MalformedReset,
            other => {
                return Err(super::Error::Invalid(format!("there is no fault {other:?}")));
            }
        })
    }
}

/// An order: after `skip` calls of `route`, the next `count` go wrong. Counted from the moment it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedFault {
    /// Whose calls.
    pub route: Route,
    /// How they go wrong.
    pub fault: Fault,
    /// Calls that still go well first.
    pub skip: u32,
    /// Calls that go wrong then.
    pub count: u32,
}

/// The faults that meet one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.0.iter().find_map(|fault| match fault {
            Fault::Latency(millis) => Some(Duration::from_millis(*millis)),
            _ => None,
        })
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.0.iter().find_map(|fault| match fault {
            Fault::Status(status) => Some(*status),
            _ => None,
        })
    }

    /// Seconds until the pretended reset.
    pub(super) fn bucket_empty(&self) -> Option<u32> {
        self.0.iter().find_map(|fault| match fault {
            Fault::BucketEmpty(seconds) => Some(*seconds),
            _ => None,
        })
    }
}

/// Counts one call of `route` against every order for it and collects what goes wrong; fulfilled orders leave the list.
pub(super) fn meet(planned: &mut Vec<PlannedFault>, route: Route) -> Faults {
    let mut met = Vec::new();
    for order in planned.iter_mut().filter(|order| order.route == route) {
        if order.skip > 0 {
            order.skip -= 1;
        } else if order.count > 0 {
            order.count -= 1;
            met.push(order.fault);
        }
    }
    planned.retain(|order| order.count > 0);
    Faults(met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_meets_exactly_the_calls_it_names() {
        let order = |fault, skip, count| PlannedFault { route: Route::Users, fault, skip, count };
        let mut planned = vec![order(Fault::Status(503), 1, 2), order(Fault::Hang, 2, 1)];
        assert!(meet(&mut planned, Route::Streams).status().is_none());
        let met: Vec<_> = (0..4).map(|_| meet(&mut planned, Route::Users)).collect();
        let statuses: Vec<_> = met.iter().map(Faults::status).collect();
        assert_eq!(statuses, [None, Some(503), Some(503), None]);
        assert!(met[2].has(Fault::Hang));
        assert!(planned.is_empty());
    }
}
