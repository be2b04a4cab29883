//! How the rest of the program asks Twitch.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Channel, Chatter, ChattersPage, Gate, Identity, Profile, Profiles, ProxyClient, Query, Route, SignedIn, Stream,
    TwitchError, TwitchUserId,
    answer::{self, List, RawChannel, RawChatter, RawStream, RawUser},
};

/// Accounts on one page of a chat, at most. Source: dev.twitch.tv/docs/api/reference#get-chatters.
const CHATTERS_PAGE: usize = 1_000;
/// Accounts or channels in one question. Source: the same, #get-users and #get-streams.
const IDS_PER_CALL: usize = 100;

/// Twitch, for the other rooms: through the gate in this process, or through the `twitch-proxy` role elsewhere.
#[derive(Clone, Debug)]
pub enum TwitchClient {
    /// This process runs the `twitch-proxy` role.
    Direct(Arc<Gate>),
    /// Another process does.
    Proxied(ProxyClient),
}

/// A body of Twitch's that is a success.
struct Reply {
    body: bytes::Bytes,
    read_at: DateTime<Utc>,
}

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
        let mut query = vec![
            ("broadcaster_id", broadcaster.to_string()),
            ("moderator_id", moderator.to_string()),
            ("first", CHATTERS_PAGE.to_string()),
        ];
        query.extend(after.map(|cursor| ("after", cursor.to_owned())));
        let reply = self.ask(&Identity::User(user), Route::Chatters, query).await?;
        let page: List<RawChatter> = answer::parse(&reply.body)?;
        let next = page.next().map(ToOwned::to_owned);
        if next.is_some() && next.as_deref() == after {
            return Err(TwitchError::unavailable("the pages do not come to an end"));
        }
        let total = page.total;
        let chatters = page.data.into_iter().map(Chatter::from).collect();
        Ok(ChattersPage { chatters, total, next, read_at: reply.read_at })
    }

    /// The public profiles of at most 100 accounts; unknown ones are missing from the answer.
    pub async fn profiles(&self, ids: &[TwitchUserId]) -> Result<Profiles, TwitchError> {
        if ids.len() > IDS_PER_CALL {
            let message = format!("{} accounts in one question; {IDS_PER_CALL} at most", ids.len());
            return Err(TwitchError::Rejected { status: 400, message });
        }
        if ids.is_empty() {
            return Ok(Profiles { profiles: Vec::new(), read_at: self.now() });
        }
        let query = ids.iter().map(|id| ("id", id.to_string())).collect();
        let reply = self.ask(&Identity::App, Route::Users, query).await?;
        let users: List<RawUser> = answer::parse(&reply.body)?;
        let profiles = users.data.into_iter().map(Profile::try_from).collect::<Result<_, _>>()?;
        Ok(Profiles { profiles, read_at: reply.read_at })
    }

    /// Every channel that `twitch_user`, whose token is that of `user` (`users.id`), moderates; their own is not in it.
    pub async fn moderated_channels(&self, user: i64, twitch_user: TwitchUserId) -> Result<Vec<Channel>, TwitchError> {
        let query = vec![("user_id", twitch_user.to_string())];
        let reply = self.ask(&Identity::User(user), Route::ModeratedChannels, query).await?;
        let channels: List<RawChannel> = answer::parse(&reply.body)?;
        Ok(channels.data.into_iter().map(Channel::from).collect())
    }

    /// Those of the given channels that are live.
    pub async fn streams(&self, broadcasters: &[TwitchUserId]) -> Result<Vec<Stream>, TwitchError> {
        let mut wanted = broadcasters.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut streams = Vec::new();
        for some in wanted.chunks(IDS_PER_CALL) {
            let mut query: Query = some.iter().map(|id| ("user_id", id.to_string())).collect();
            // Twitch's own page is 20.
            query.push(("first", IDS_PER_CALL.to_string()));
            let reply = self.ask(&Identity::App, Route::Streams, query).await?;
            let live: List<RawStream> = answer::parse(&reply.body)?;
            for stream in live.data {
                streams.push(Stream::try_from(stream)?);
            }
        }
        Ok(streams)
    }

    /// Ends a sign-in: exchanges the code Twitch sent the browser back with, checks what was granted, keeps the tokens.
    /// A code that is wrong, used or too old is [`TwitchError::Rejected`].
    pub async fn sign_in(&self, code: &str, redirect_uri: &str) -> Result<SignedIn, TwitchError> {
        match self {
            Self::Direct(gate) => gate.sign_in(code, redirect_uri).await,
            Self::Proxied(proxy) => proxy.sign_in(code, redirect_uri).await,
        }
    }

    /// Revokes the tokens of `user` (`users.id`) at Twitch and forgets them. Nothing to revoke is no error; while Twitch
    /// cannot be reached the tokens stay, so that trying again can finish.
    pub async fn disconnect(&self, user: i64) -> Result<(), TwitchError> {
        match self {
            Self::Direct(gate) => gate.disconnect(user).await,
            Self::Proxied(proxy) => proxy.disconnect(user).await,
        }
    }

    /// Makes sure that Twitch still takes the tokens of `user` (`users.id`), if it has not said so within
    /// [`super::VALIDATE_AFTER`]. [`TwitchError::SignInAgain`] says that it does not, and will not any more.
    pub async fn validate(&self, user: i64) -> Result<(), TwitchError> {
        match self {
            Self::Direct(gate) => gate.validate(user).await,
            Self::Proxied(proxy) => proxy.validate(user).await,
        }
    }

    /// Whether Twitch can be reached.
    pub async fn ping(&self) -> Result<(), TwitchError> {
        match self {
            Self::Direct(gate) => gate.ping().await,
            Self::Proxied(proxy) => proxy.ping().await,
        }
    }

    async fn ask(&self, identity: &Identity, route: Route, query: Query) -> Result<Reply, TwitchError> {
        let (status, body, age) = match self {
            Self::Direct(gate) => {
                let answer = gate.call(identity, route, query).await?;
                (answer.status, answer.body, answer.age)
            }
            Self::Proxied(proxy) => {
                let (answer, age) = proxy.get(identity, route, &query).await?;
                (answer.status, answer.body, age)
            }
        };
        if !(200..300).contains(&status) {
            return Err(answer::refusal(status, &body));
        }
        Ok(Reply { body, read_at: self.now() - chrono::Duration::from_std(age).unwrap_or_default() })
    }

    fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Direct(gate) => gate.now(),
            Self::Proxied(proxy) => proxy.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send(_: &impl Send) {}

    /// The worker runs on several threads; a future that cannot move between them would only be noticed there.
    #[expect(dead_code, reason = "compiling it is the test")]
    fn every_question_may_move_between_threads(client: &TwitchClient) {
        is_send(&client.chatters(1, TwitchUserId(1), TwitchUserId(1), None));
        is_send(&client.profiles(&[]));
        is_send(&client.moderated_channels(1, TwitchUserId(1)));
        is_send(&client.streams(&[]));
        is_send(&client.sign_in("", ""));
        is_send(&client.disconnect(1));
        is_send(&client.validate(1));
        is_send(&client.ping());
    }
}
