//! The four roles of the program and the sets of them that one process can run.

use std::{fmt, str::FromStr};

pub mod analysis;
pub mod gateway;
pub mod internal_api;
pub mod readiness;
pub mod twitch_proxy;
pub mod worker;

/// One role of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The public web pages.
    Gateway,
    /// Runs the jobs of the queue.
    Worker,
    /// Answers questions over stored captures, to the other roles only.
    Analysis,
    /// The one gate to Twitch.
    TwitchProxy,
}

impl Role {
    /// All roles, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Gateway, Self::Worker, Self::Analysis, Self::TwitchProxy];

    /// The name on the command line, in logs and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Analysis => "analysis",
            Self::TwitchProxy => "twitch-proxy",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role name that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("unknown role '{0}'; the roles are gateway, worker, analysis, twitch-proxy")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// The roles that one process runs; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSet(Vec<Role>);

impl RoleSet {
    /// The given roles without repetition; all of them when none is given.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        let mut roles: Vec<Role> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() { Self::all() } else { Self(roles) }
    }

    /// Every role.
    pub fn all() -> Self {
        Self(Role::ALL.to_vec())
    }

    /// Whether this process runs `role`.
    pub fn contains(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether some role runs elsewhere.
    pub fn is_partial(&self) -> bool {
        self.0.len() < Role::ALL.len()
    }

    /// The roles in their fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }
}
