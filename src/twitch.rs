//! Twitch: who is in a chat, who these accounts are, and signing people in.
//!
//! The rest of the program knows [`TwitchClient`] and the types here. Behind it stands the gate, the only code that talks to
//! Twitch: it holds the rate limit, the tokens and the caches. A process that runs the `twitch-proxy` role has the gate itself;
//! any other asks that role over HTTP. Both give the same answers and the same [`TwitchError`]s.

mod answer;
mod answer_cache;
mod breaker;
mod circuit;
mod client;
mod error;
mod gate;
mod helix;
mod oauth;
mod proxy;
mod rate_limit;
mod retry_budget;
mod tally;
mod token_rows;
mod tokens;
mod types;

pub use client::TwitchClient;
pub use error::TwitchError;
pub use gate::{Gate, GateAnswer, Identity};
pub use helix::{Query, RateHeaders, Route};
pub use proxy::ProxyClient;
pub use tokens::VALIDATE_AFTER;
pub use types::{BadTwitchUserId, Channel, Chatter, ChattersPage, Profile, Profiles, SignedIn, Stream, TwitchUserId};

/// What a person must grant when signing in: read who is in a chat, and which channels they moderate.
/// Source: dev.twitch.tv/docs/authentication/scopes.
pub const REQUIRED_SCOPES: [&str; 2] = ["user:read:moderated_channels", "moderator:read:chatters"];
