//! Lets the person of the demo have done things in the past, by the functions that do them in earnest: only the clock is ours,
//! and the pages of a chat come from the simulator's memory instead of over HTTP.

use std::collections::HashSet;

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{DatabaseConnection, DbErr, EntityTrait};

use crate::{
    account,
    capture::{self, Target, fetch},
    clock::Clock,
    db,
    session::{self, Outcome},
    simulator::{Person, World},
    twitch::{Chatter, Profile, TwitchUserId},
    user,
};

/// How long reading a chat took.
const READING: TimeDelta = TimeDelta::seconds(2);

/// A person's past, told in the order in which it happened.
pub struct Past<'a> {
    db: &'a DatabaseConnection,
    world: &'a World,
    clock: Clock,
    user_id: i64,
    /// Accounts whose profile has been read.
    read: HashSet<i64>,
}

impl<'a> Past<'a> {
    /// The past of the player `login`, who signs in at `begins`.
    pub async fn begin(
        db: &'a DatabaseConnection,
        world: &'a World,
        login: &str,
        begins: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let person = world.person(login).with_context(|| format!("nobody is called {login}"))?;
        let user_id = user::upsert(db, person.id, &person.name.login, &person.name.display_name, begins).await?;
        Ok(Self { db, world, clock: Clock::fixed(begins), user_id, read: HashSet::new() })
    }

    /// Goes on to `at`.
    fn go_to(&self, at: DateTime<Utc>) {
        self.clock.advance(at - self.clock.now());
    }

    /// Captures a chat as it was at `at`, profiles included.
    pub async fn capture(&mut self, channel: &str, at: DateTime<Utc>) -> anyhow::Result<()> {
        let broadcaster = self.world.person(channel).with_context(|| format!("there is no channel {channel}"))?;
        let target =
            Target { broadcaster_id: TwitchUserId(broadcaster.id), broadcaster_login: broadcaster.name.login.clone() };
        let people = self.world.chatters_at(channel, at)?;
        let chatters: Vec<Chatter> = people.iter().map(chatter).collect();
        let unread: Vec<Profile> =
            people.iter().filter(|person| !self.read.contains(&person.id)).map(profile).collect();
        let ids: Vec<TwitchUserId> = unread.iter().map(|profile| profile.id).collect();
        self.go_to(at);
        let begun = self.clock.now();
        let capture_id = db::write_txn!(self.db, |txn| {
            let session = session::ensure_active(txn, self.user_id, begun).await?;
            capture::begin(txn, self.user_id, session.id, &target, begun).await
        })?;
        self.go_to(at + READING);
        let read_at = self.clock.now();
        db::write_txn!(self.db, |txn| {
            fetch::store_chatters(txn, capture_id, &chatters).await?;
            let renamed = account::note_seen(txn, &chatters, read_at).await?;
            session::note_accounts_changed(txn, &renamed).await?;
            account::store_profiles(txn, &ids, &unread, read_at).await?;
            let found = capture::Entity::find_by_id(capture_id).one(txn).await?;
            let capture = found.ok_or_else(|| DbErr::RecordNotFound("the capture just begun".to_owned()))?;
            capture::complete(txn, &capture, read_at).await
        })?;
        self.read.extend(ids.iter().map(|id| id.0));
        Ok(())
    }

    /// Saves the active session at `at` under `name`, and returns its public name.
    pub async fn save(&mut self, name: Option<&str>, at: DateTime<Utc>) -> anyhow::Result<String> {
        self.go_to(at);
        let now = self.clock.now();
        match session::save(self.db, self.user_id, None, now).await? {
            Outcome::Done(session) => {
                if let Some(name) = name {
                    session::set_name(self.db, self.user_id, &session.session_uuid, name, now).await?;
                }
                Ok(session.session_uuid)
            }
            other => Err(anyhow!("a session of the past was not saved: {other:?}")),
        }
    }

    /// Makes a saved session the active one at `at`.
    pub async fn resume(&mut self, uuid: &str, at: DateTime<Utc>) -> anyhow::Result<()> {
        self.go_to(at);
        match session::resume(self.db, self.user_id, uuid, None, self.clock.now()).await? {
            Outcome::Done(_) => Ok(()),
            other => Err(anyhow!("a session of the past was not resumed: {other:?}")),
        }
    }
}

fn chatter(person: &Person) -> Chatter {
    Chatter {
        id: TwitchUserId(person.id),
        login: person.name.login.clone(),
        display_name: person.name.display_name.clone(),
    }
}

fn profile(person: &Person) -> Profile {
    Profile {
        id: TwitchUserId(person.id),
        login: person.name.login.clone(),
        display_name: person.name.display_name.clone(),
        created_at: Some(person.created_at),
        account_type: person.kind.to_owned(),
        broadcaster_type: person.broadcaster_type.to_owned(),
        has_picture: !person.profile_image_url.contains("user-default-pictures"),
        has_description: !person.description.is_empty(),
    }
}
