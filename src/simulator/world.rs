//! The state of the simulated Twitch and everything the demo, the tests and the control page can do to it.
//!
//! The people are here; rooms in `world/rooms.rs`, tokens, limits, faults and the log in `world/traffic.rs`.

mod rooms;
mod traffic;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

pub use self::{
    rooms::{Live, RoomReport},
    traffic::{Fare, Refused},
};
use super::{
    bucket::{Bucket, Rate},
    call_log::CallLog,
    cast,
    chance::Dice,
    fault::PlannedFault,
    ledger::Ledger,
    names::{self, Name},
    people::{Crowd, FIRST_KEPT, Person},
    room::Room,
    wave::WaveReport,
};
use crate::clock::Clock;

/// How a simulated Twitch is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Points added to each bucket per minute.
    pub refill_per_minute: u32,
    /// Points in a full bucket.
    pub bucket_size: u32,
    /// The same seed gives the same people, rooms and waves.
    pub seed: u64,
    /// How long a user's access token lasts.
    pub access_token_lifetime: Duration,
    /// Twitch's time of day: presence, tokens and buckets go by it (the call log does not).
    pub clock: Clock,
    /// Whether the channels and people of the demo exist from the start.
    pub with_cast: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refill_per_minute: 600,
            bucket_size: 800,
            seed: 1,
            access_token_lifetime: Duration::from_hours(4),
            clock: Clock::System,
            with_cast: true,
        }
    }
}

/// Why an order could not be carried out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Nobody has this login.
    #[error("nobody is called {0:?}")]
    Unknown(String),
    /// Somebody else has this login.
    #[error("the login {0:?} is taken")]
    Taken(String),
    /// Something in the order makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// The simulated Twitch. Clones share one state.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    clock: Clock,
    access_token_lifetime: Duration,
    crowd: Crowd,
    dice: Dice,
    state: Mutex<State>,
}

/// Everything that changes.
pub(super) struct State {
    /// Accounts that are not computed; account number = index + [`FIRST_KEPT`].
    kept: Vec<Person>,
    ids: HashMap<i64, u32>,
    /// Logins of kept accounts and names taken by renaming; may hold outdated ones, so check against the name of today.
    logins: HashMap<String, u32>,
    /// Hashed logins of the crowd's numbers below `indexed`.
    crowd_logins: HashMap<u64, u32>,
    indexed: u32,
    /// The crowd's numbers below this one are in use.
    next_number: u32,
    renames: HashMap<u32, Vec<(DateTime<Utc>, Name)>>,
    suspended: HashSet<u32>,
    /// Who is offered on the consent page.
    players: Vec<u32>,
    rooms: HashMap<u32, Room>,
    /// By moderator: broadcaster's id and number.
    moderates: HashMap<u32, BTreeMap<i64, u32>>,
    live: HashMap<u32, Live>,
    waves: Vec<WaveReport>,
    rate: Rate,
    buckets: HashMap<String, Bucket>,
    ledger: Ledger,
    /// Client id to secret.
    clients: HashMap<String, String>,
    redirect_uris: HashSet<String>,
    faults: Vec<PlannedFault>,
    log: CallLog,
}

impl World {
    /// A Twitch with these options.
    pub fn new(options: Options) -> Self {
        let world = Self(Arc::new(Shared {
            clock: options.clock,
            access_token_lifetime: options.access_token_lifetime,
            crowd: Crowd::new(options.seed),
            dice: Dice::new(options.seed).about("world"),
            state: Mutex::new(State::new(Rate {
                refill_per_minute: options.refill_per_minute,
                bucket_size: options.bucket_size,
            })),
        }));
        if options.with_cast {
            cast::assemble(&world);
        }
        world
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn crowd(&self) -> &Crowd {
        &self.0.crowd
    }

    pub(super) fn dice(&self) -> Dice {
        self.0.dice
    }

    /// The time in this Twitch.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Adds an account created at about `created_at`, which may log in.
    pub fn add_person(&self, login: &str, created_at: DateTime<Utc>) -> Result<Person, Error> {
        let person = self.crowd().invent(Name::plain(login), created_at);
        let number = self.keep(person)?;
        self.state().players.push(number);
        Ok(self.person_at(number, self.now()))
    }

    /// Keeps an account, under the next free id if its own is taken, and returns its number.
    pub(super) fn keep(&self, mut person: Person) -> Result<u32, Error> {
        let login = person.name.login.clone();
        if !names::is_valid_login(&login) {
            return Err(Error::Invalid(format!("{login:?} is no login: 4 to 25 of a-z, 0-9 and _")));
        }
        if self.number_of_login(&login).is_some() {
            return Err(Error::Taken(login));
        }
        let mut state = self.state();
        while state.ids.contains_key(&person.id) {
            person = self.crowd().invent_with_id(person.name, person.id + 1);
        }
        let number = FIRST_KEPT + u32::try_from(state.kept.len()).unwrap_or(u32::MAX - FIRST_KEPT);
        state.ids.insert(person.id, number);
        state.logins.insert(login, number);
        state.kept.push(person);
        Ok(number)
    }

    /// Gives a person another login (and display name) from now on.
    pub fn rename(&self, login: &str, new_name: &str) -> Result<(), Error> {
        self.rename_at(login, new_name, self.now())
    }

    /// As [`World::rename`], but it happened at `at`.
    pub fn rename_at(&self, login: &str, new_name: &str, at: DateTime<Utc>) -> Result<(), Error> {
        let number = self.number(login)?;
        let name = Name::plain(new_name);
        if !names::is_valid_login(&name.login) {
            return Err(Error::Invalid(format!("{new_name:?} is no login")));
        }
        if self.number_of_login(&name.login).is_some_and(|other| other != number) {
            return Err(Error::Taken(name.login));
        }
        let mut state = self.state();
        state.logins.insert(name.login.clone(), number);
        let renames = state.renames.entry(number).or_default();
        let place = renames.partition_point(|(from, _)| *from <= at);
        renames.insert(place, (at, name));
        Ok(())
    }

    /// Takes an account out of `GET /users` (or puts it back), as Twitch does with suspended ones.
    pub fn suspend(&self, login: &str, suspended: bool) -> Result<(), Error> {
        let number = self.number(login)?;
        let mut state = self.state();
        if suspended {
            state.suspended.insert(number);
        } else {
            state.suspended.remove(&number);
        }
        Ok(())
    }

    /// The account with this login today.
    pub fn person(&self, login: &str) -> Option<Person> {
        let number = self.number_of_login(login)?;
        Some(self.person_at(number, self.now()))
    }

    /// The account with this id, named as today.
    pub fn person_by_id(&self, id: i64) -> Option<Person> {
        let number = self.number_of_id(id)?;
        Some(self.person_at(number, self.now()))
    }

    /// Those who are offered on the consent page.
    pub fn players(&self) -> Vec<Person> {
        let players = self.state().players.clone();
        players.into_iter().map(|number| self.person_at(number, self.now())).collect()
    }

    pub(super) fn number(&self, login: &str) -> Result<u32, Error> {
        self.number_of_login(login).ok_or_else(|| Error::Unknown(login.to_owned()))
    }

    pub(super) fn number_of_login(&self, login: &str) -> Option<u32> {
        let login = login.to_ascii_lowercase();
        let number = {
            let mut state = self.state();
            state.index_crowd(self.crowd());
            let kept = state.logins.get(&login).copied();
            kept.or_else(|| state.crowd_logins.get(&hashed(&login)).copied())?
        };
        (self.name_at(number, self.now()).login == login && self.is_born(number)).then_some(number)
    }

    pub(super) fn number_of_id(&self, id: i64) -> Option<u32> {
        let kept = self.state().ids.get(&id).copied();
        kept.or_else(|| self.crowd().number_of(id)).filter(|number| self.is_born(*number))
    }

    /// The crowd holds people who will only join Twitch in the years to come.
    fn is_born(&self, number: u32) -> bool {
        number >= FIRST_KEPT || self.crowd().birth(number).at <= self.now().timestamp()
    }

    pub(super) fn is_suspended(&self, number: u32) -> bool {
        self.state().suspended.contains(&number)
    }

    pub(super) fn id_of(&self, number: u32) -> i64 {
        match number.checked_sub(FIRST_KEPT) {
            Some(index) => {
                let state = self.state();
                let person = usize::try_from(index).ok().and_then(|index| state.kept.get(index));
                person.map_or(0, |person| person.id)
            }
            None => self.crowd().birth(number).id,
        }
    }

    pub(super) fn name_at(&self, number: u32, at: DateTime<Utc>) -> Name {
        let renamed = self.state().renamed(number, at);
        renamed.unwrap_or_else(|| self.first_person(number).name)
    }

    pub(super) fn person_at(&self, number: u32, at: DateTime<Utc>) -> Person {
        let mut person = self.first_person(number);
        if let Some(name) = self.state().renamed(number, at) {
            person.name = name;
        }
        person
    }

    /// The account under its first name.
    fn first_person(&self, number: u32) -> Person {
        let kept = number.checked_sub(FIRST_KEPT).and_then(|index| {
            let state = self.state();
            state.kept.get(usize::try_from(index).ok()?).cloned()
        });
        kept.unwrap_or_else(|| self.crowd().person(number))
    }

    pub(super) fn offer_on_consent_page(&self, numbers: &[u32]) {
        self.state().players.extend(numbers);
    }
}

impl State {
    fn new(rate: Rate) -> Self {
        Self {
            kept: Vec::new(),
            ids: HashMap::new(),
            logins: HashMap::new(),
            crowd_logins: HashMap::new(),
            indexed: 0,
            next_number: cast::WANDERERS,
            renames: HashMap::new(),
            suspended: HashSet::new(),
            players: Vec::new(),
            rooms: HashMap::new(),
            moderates: HashMap::new(),
            live: HashMap::new(),
            waves: Vec::new(),
            rate,
            buckets: HashMap::new(),
            ledger: Ledger::default(),
            clients: HashMap::from([("demo".to_owned(), "demo-secret".to_owned())]),
            redirect_uris: HashSet::new(),
            faults: Vec::new(),
            log: CallLog::new(),
        }
    }

    fn renamed(&self, number: u32, at: DateTime<Utc>) -> Option<Name> {
        let renames = self.renames.get(&number)?;
        let place = renames.partition_point(|(from, _)| *from <= at);
        place.checked_sub(1).map(|last| renames[last].1.clone())
    }

    fn index_crowd(&mut self, crowd: &Crowd) {
        for number in self.indexed..self.next_number {
            self.crowd_logins.insert(hashed(&crowd.name(number).login), number);
        }
        self.indexed = self.next_number;
    }
}

/// Two logins with the same hash would hide one account from lookups by login; at 64 bits that does not happen.
fn hashed(login: &str) -> u64 {
    Dice::new(0).about(login).roll(&[])
}
