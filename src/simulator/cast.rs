//! The channels and people of the demo. All of them are invented.

use chrono::{DateTime, TimeDelta, Utc};

use super::{names::Name, people::Person, room::Stay, world::World};

/// The crowd's numbers below this one are at home in many channels; the others in one.
pub(super) const WANDERERS: u32 = 20_000;

/// Login of the person the demo is told about: owns a channel and moderates eleven.
pub const HERO: &str = "mirabelle_mod";
/// Somebody who moderates nothing.
pub const NOBODYS_MODERATOR: &str = "hugo_sans_role";
/// Somebody who moderates more than a hundred channels.
pub const BUSY_MODERATOR: &str = "ines_veille";
/// Somebody who moderates two of the channels.
pub const NIGHT_MODERATOR: &str = "tom_nightshift";

/// How many small channels [`BUSY_MODERATOR`] looks after.
const SMALL_CHANNELS: usize = 130;

struct Channel {
    name: &'static str,
    created: &'static str,
    kind: &'static str,
    description: &'static str,
    present: u32,
    /// Minutes on air, title, game, language.
    live: Option<(i64, &'static str, &'static str, &'static str)>,
}

const CHANNELS: [Channel; 12] = [
    Channel {
        name: "mirabelle_mod",
        created: "2016-05-14T18:03:21Z",
        kind: "affiliate",
        description: "Petits jeux, grands fous rires. Je modère aussi chez les copains.",
        present: 71,
        live: Some((64, "On finit le puzzle à 2 000 pièces", "Puzzle Together", "fr")),
    },
    Channel {
        name: "lapinvert_live",
        created: "2013-11-02T12:40:07Z",
        kind: "partner",
        description: "Lapin vert, jeux verts.",
        present: 2_480,
        live: Some((131, "Marathon de la carotte, épisode 9", "Stardew Valley", "fr")),
    },
    Channel {
        name: "nocturne_fm",
        created: "2014-08-23T22:15:50Z",
        kind: "partner",
        description: "Lo-fi radio for people who should be asleep.",
        present: 3_430,
        live: Some((402, "rain, piano, chat", "Music", "en")),
    },
    Channel {
        name: "tanguy_et_les_ours",
        created: "2015-02-11T17:25:33Z",
        kind: "affiliate",
        description: "Tanguy, et des ours.",
        present: 476,
        live: Some((22, "Les ours contre le donjon", "Baldur's Gate 3", "fr")),
    },
    Channel {
        name: "atelier_zinc",
        created: "2017-01-30T09:12:44Z",
        kind: "affiliate",
        description: "Soudure, zinc et patience.",
        present: 160,
        live: None,
    },
    Channel {
        name: "le_phare_rose",
        created: "2018-06-08T15:51:02Z",
        kind: "affiliate",
        description: "",
        present: 240,
        live: None,
    },
    Channel {
        name: "radio_cagette",
        created: "2020-04-19T10:30:18Z",
        kind: "affiliate",
        description: "Une radio, une cagette, des légumes.",
        present: 95,
        live: None,
    },
    Channel {
        name: "oncle_pixel",
        created: "2012-09-17T20:44:59Z",
        kind: "partner",
        description: "Old games, older uncle.",
        present: 312,
        live: None,
    },
    Channel {
        name: "sardine_express",
        created: "2021-02-25T13:07:36Z",
        kind: "affiliate",
        description: "Trains et sardines.",
        present: 88,
        live: None,
    },
    Channel {
        name: "bibliotheque_zoe",
        created: "2019-10-05T16:19:27Z",
        kind: "affiliate",
        description: "Zoé lit. You listen.",
        present: 145,
        live: None,
    },
    Channel {
        name: "karnaval_tv",
        created: "2014-12-12T19:58:10Z",
        kind: "partner",
        description: "Carnaval toute l'année.",
        present: 1_020,
        live: None,
    },
    Channel {
        name: "petit_four_tv",
        created: "2022-03-03T08:00:41Z",
        kind: "",
        description: "Pâtisserie lente.",
        present: 57,
        live: None,
    },
];

/// Lets the cast come on stage.
pub(super) fn assemble(world: &World) {
    let people = [
        (NOBODYS_MODERATOR, "2021-07-14T09:20:00Z"),
        (BUSY_MODERATOR, "2012-03-28T21:05:00Z"),
        (NIGHT_MODERATOR, "2018-11-23T23:45:00Z"),
    ];
    let numbers: Vec<u32> = CHANNELS.iter().filter_map(|channel| open(world, channel)).collect();
    let [hugo, ines, tom] = people.map(|(login, created)| introduce(world, login, created));
    let mut players: Vec<u32> = numbers.iter().copied().take(1).collect();
    players.extend([hugo, ines, tom].into_iter().flatten());
    players.extend(numbers.get(1));
    world.offer_on_consent_page(&players);

    if let Some((hero, others)) = numbers.split_first() {
        for channel in others {
            world.set_moderator_number(*hero, *channel, true);
        }
    }
    if let (Some(tom), Some(night), Some(radio)) = (tom, numbers.get(2), numbers.get(6)) {
        world.set_moderator_number(tom, *night, true);
        world.set_moderator_number(tom, *radio, true);
    }
    if let Some(ines) = ines {
        open_small_channels(world, ines);
    }
}

/// Opens a channel with its chat; its broadcaster and, if it is on air, the hero are there from the start.
fn open(world: &World, channel: &Channel) -> Option<u32> {
    let created_at: DateTime<Utc> = channel.created.parse().ok()?;
    let person = Person {
        broadcaster_type: channel.kind,
        description: channel.description,
        profile_image_url: super::people::picture(false, world.dice().about(channel.name).roll(&[])),
        ..world.crowd().invent(Name::plain(channel.name), created_at)
    };
    let number = world.keep(person).ok()?;
    world.add_living_crowd_to(number, channel.present);
    if let Some((minutes, title, game, language)) = channel.live {
        let live = world.live_since(minutes, title, game, language);
        let stay = Stay { number, from: live.started_at - TimeDelta::minutes(10), until: DateTime::<Utc>::MAX_UTC };
        world.add_stays(number, [stay]);
        world.set_live(channel.name, Some(live)).ok()?;
    }
    Some(number)
}

fn introduce(world: &World, login: &str, created_at: &str) -> Option<u32> {
    let created_at = created_at.parse().ok()?;
    world.keep(world.crowd().invent(Name::plain(login), created_at)).ok()
}

fn open_small_channels(world: &World, moderator: u32) {
    // Long before today, so that every start finds the same ones.
    let before = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default().timestamp();
    let grown_up = std::iter::from_fn(|| world.next_member()).filter(|(_, born)| *born < before);
    for (number, _) in grown_up.take(SMALL_CHANNELS) {
        world.add_living_crowd_to(number, 12);
        world.set_moderator_number(moderator, number, true);
    }
}
