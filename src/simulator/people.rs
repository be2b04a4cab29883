//! The people of the simulated Twitch: account number to profile and back, without storing any of them.
//!
//! Numbers below 2^21 are the crowd: computed on demand from the seed, spread over all creation days up to 2036, so some of them
//! are not born yet. Numbers from [`FIRST_KEPT`] on are kept accounts: the cast, waves, and whoever a test adds.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{
    calendar::{Birth, Calendar},
    chance::{Dice, Shuffle},
    names::{self, Name},
};

/// The first number that is not part of the computed crowd.
pub(super) const FIRST_KEPT: u32 = 1 << Shuffle::BITS;

/// An account as Twitch shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Twitch user id.
    pub id: i64,
    /// Login and display name.
    pub name: Name,
    /// When the account was created, whole seconds.
    pub created_at: DateTime<Utc>,
    /// `""`, `staff`, `global_mod` or `admin`.
    pub kind: &'static str,
    /// `""`, `affiliate` or `partner`.
    pub broadcaster_type: &'static str,
    /// The text on the channel page, mostly empty.
    pub description: &'static str,
    /// Address of the picture; the default ones have `user-default-pictures` in their path.
    pub profile_image_url: String,
}

/// An account in the words of `GET /users`.
#[derive(Serialize)]
pub(super) struct HelixUser<'a> {
    id: String,
    login: &'a str,
    display_name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    broadcaster_type: &'a str,
    description: &'a str,
    profile_image_url: &'a str,
    offline_image_url: &'a str,
    view_count: u8,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl Person {
    /// `with_email`: the caller is this person and holds `user:read:email`.
    pub(super) fn to_helix(&self, with_email: bool) -> HelixUser<'_> {
        HelixUser {
            id: self.id.to_string(),
            login: &self.name.login,
            display_name: &self.name.display_name,
            kind: self.kind,
            broadcaster_type: self.broadcaster_type,
            description: self.description,
            profile_image_url: &self.profile_image_url,
            offline_image_url: "",
            view_count: 0,
            created_at: helix_time(self.created_at),
            email: with_email.then(|| format!("{}@example.invalid", self.name.login)),
        }
    }
}

/// RFC 3339 in UTC with whole seconds, as Helix writes instants.
pub(super) fn helix_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The computed crowd.
pub(super) struct Crowd {
    calendar: Calendar,
    order: Shuffle,
    naming: Shuffle,
    taste: Dice,
}

impl Crowd {
    pub(super) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed).about("people");
        Self {
            calendar: Calendar::new(),
            order: Shuffle::new(dice.about("order")),
            naming: Shuffle::new(dice.about("names")),
            taste: dice.about("taste"),
        }
    }

    pub(super) fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    pub(super) fn birth(&self, number: u32) -> Birth {
        self.calendar.birth(self.order.apply(number))
    }

    pub(super) fn number_of(&self, id: i64) -> Option<u32> {
        self.calendar.cell_of(id).map(|cell| self.order.undo(cell))
    }

    pub(super) fn name(&self, number: u32) -> Name {
        names::name_of(number, self.naming, self.taste)
    }

    pub(super) fn person(&self, number: u32) -> Person {
        let birth = self.birth(number);
        let id = birth.id.unsigned_abs();
        let per_mille = self.taste.below(1_000, &[id, 1]);
        let broadcaster_type = match per_mille {
            0..3 => "partner",
            3..85 => "affiliate",
            _ => "",
        };
        // Streamers write a description and choose a picture far more often than people who only watch.
        let streams = !broadcaster_type.is_empty();
        let describes = self.taste.below(100, &[id, 2]) < if streams { 80 } else { 14 };
        let default_picture = self.taste.below(100, &[id, 3]) < if streams { 4 } else { 42 };
        Person {
            id: birth.id,
            name: self.name(number),
            created_at: instant(birth.at),
            kind: "",
            broadcaster_type,
            description: if describes { description(self.taste.roll(&[id, 4])) } else { "" },
            profile_image_url: picture(default_picture, self.taste.roll(&[id, 5])),
        }
    }

    /// An account for the cast or for a test: created at about `at`, with an id nobody of the crowd has.
    pub(super) fn invent(&self, name: Name, at: DateTime<Utc>) -> Person {
        self.invent_with_id(name, self.calendar.id_at(at))
    }

    /// An account with this id, or the next one nobody of the crowd has.
    pub(super) fn invent_with_id(&self, name: Name, from_id: i64) -> Person {
        let mut id = from_id;
        while self.number_of(id).is_some() {
            id += 1;
        }
        let at = self.calendar.instant_of(id).unwrap_or_default();
        let taste = self.taste.roll(&[id.unsigned_abs(), 5]);
        Person {
            id,
            name,
            created_at: instant(at),
            kind: "",
            broadcaster_type: "",
            description: "",
            profile_image_url: picture(true, taste),
        }
    }
}

pub(super) fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A picture's address; Twitch has a handful of default ones, told apart by their identifier.
pub(super) fn picture(default: bool, taste: u64) -> String {
    const HOST: &str = "https://static-cdn.jtvnw.net";
    let (folder, bits, tail) = if default {
        ("user-default-pictures-uv", taste % 13, "profile_image-300x300.png")
    } else {
        ("jtv_user_pictures", taste, "profile_image-300x300.png")
    };
    let id = uuid::Uuid::from_u64_pair(Dice::new(bits).roll(&[0]), Dice::new(bits).roll(&[1]));
    format!("{HOST}/{folder}/{id}-{tail}")
}

fn description(taste: u64) -> &'static str {
    const TEXTS: [&str; 12] = [
        "Speedruns le soir, musique le dimanche.",
        "just here to watch",
        "Je dessine en direct, le mardi et le jeudi.",
        "variety, mostly cosy games",
        "Petite chaîne, grande cafetière.",
        "retro consoles and bad puns",
        "Bienvenue ! On joue, on parle, on rigole.",
        "learning Rust on stream, slowly",
        "Fan de jeux de société et de plantes grasses.",
        "gm, coffee first",
        "Modérateur ici et là.",
        "I play the same game every day",
    ];
    TEXTS[usize::try_from(taste % TEXTS.len() as u64).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_people_and_another_seed_others() {
        let (one, same, other) = (Crowd::new(5), Crowd::new(5), Crowd::new(6));
        let list = |crowd: &Crowd| (0..200).map(|n| crowd.person(n)).collect::<Vec<_>>();
        assert_eq!(list(&one), list(&same));
        assert_ne!(list(&one), list(&other));
    }

    #[test]
    fn ids_order_people_by_age_and_lead_back_to_them() {
        let crowd = Crowd::new(5);
        let mut people: Vec<_> = (0..20_000).map(|number| (crowd.birth(number), number)).collect();
        people.sort_by_key(|(birth, _)| birth.id);
        for pair in people.windows(2) {
            assert!(pair[0].0.id < pair[1].0.id && pair[0].0.at <= pair[1].0.at);
        }
        for (birth, number) in people {
            assert_eq!(crowd.number_of(birth.id), Some(number));
        }
    }

    #[test]
    fn an_invented_account_takes_a_free_id_of_its_time() {
        let crowd = Crowd::new(5);
        let taken = crowd.person(17);
        let person = crowd.invent_with_id(Name::plain("someone"), taken.id);
        assert!(person.id > taken.id && person.id < taken.id + 50);
        assert!((person.created_at - taken.created_at).num_seconds().abs() < 60);
    }
}
