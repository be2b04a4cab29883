//! How the rest of the program asks Twitch.

use std::sync::Arc;

use super::{Channel, ChattersPage, Gate, Profiles, SignedIn, Stream, TwitchError, TwitchUserId};

/// Twitch, for the other rooms: through the gate in this process, or through the `twitch-proxy` role elsewhere.
#[derive(Clone, Debug)]
pub enum TwitchClient {
    /// This process runs the `twitch-proxy` role.
    Direct(Arc<Gate>),
    /// Another process does.
    Proxied(ProxyClient),
}

/// The way to the `twitch-proxy` role in another process.
#[derive(Clone, Debug)]
pub struct ProxyClient {}

impl TwitchClient {
    /// One page of who is in `broadcaster`'s chat, as seen by `moderator`, whose token is that of `user` (`users.id`).
    /// `after` is the cursor of the page before; up to 1,000 accounts a page.
    pub async fn chatters(
        &self,
        user: i64,
        broadcaster: TwitchUserId,
        moderator: TwitchUserId,
        after: Option<&str>,
    ) -> Result<ChattersPage, TwitchError> {
        let _ = (user, broadcaster, moderator, after);
        Err(TwitchError::NotConfigured)
    }

    /// The public profiles of at most 100 accounts; unknown ones are missing from the answer.
    pub async fn profiles(&self, ids: &[TwitchUserId]) -> Result<Profiles, TwitchError> {
        let _ = ids;
        Err(TwitchError::NotConfigured)
    }

    /// Every channel that `twitch_user`, whose token is that of `user` (`users.id`), moderates; their own is not in it.
    pub async fn moderated_channels(&self, user: i64, twitch_user: TwitchUserId) -> Result<Vec<Channel>, TwitchError> {
        let _ = (user, twitch_user);
        Err(TwitchError::NotConfigured)
    }

    /// Those of the given channels that are live.
    pub async fn streams(&self, broadcasters: &[TwitchUserId]) -> Result<Vec<Stream>, TwitchError> {
        let _ = broadcasters;
        Err(TwitchError::NotConfigured)
    }

    /// Ends a sign-in: exchanges the code Twitch sent the browser back with, checks what was granted, keeps the tokens.
    pub async fn sign_in(&self, code: &str, redirect_uri: &str) -> Result<SignedIn, TwitchError> {
        let _ = (code, redirect_uri);
        Err(TwitchError::NotConfigured)
    }

    /// Revokes the tokens of `user` (`users.id`) at Twitch and forgets them. Nothing to revoke is no error.
    pub async fn disconnect(&self, user: i64) -> Result<(), TwitchError> {
        let _ = user;
        Err(TwitchError::NotConfigured)
    }

    /// Whether Twitch can be reached.
    pub async fn ping(&self) -> Result<(), TwitchError> {
        Err(TwitchError::NotConfigured)
    }
}
