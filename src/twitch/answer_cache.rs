//! What Twitch said a moment ago. One question of its kind is under way at a time in this process; the others wait for it.
//!
//! Only answers that are a success are kept. Lists of channels are kept for one identity and never shown to another; public
//! profiles and streams are the same for everybody.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use moka::future::Cache;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    TwitchError,
    answer::{self, List},
    helix::{Answer, Query, RateHeaders},
    oauth::Validation,
};

/// From the contract: `/users` 5 min, `/moderated-channels` 1 min.
const PEOPLE_TTL: Duration = Duration::from_mins(5);
const CHANNELS_TTL: Duration = Duration::from_mins(1);
const STREAMS_TTL: Duration = Duration::from_secs(20);
/// A token that was revoked meanwhile may be taken for good this long; Twitch itself then refuses it.
const VALIDATION_TTL: Duration = Duration::from_mins(5);
const REACHABLE_TTL: Duration = Duration::from_secs(10);
const MAX_BYTES: u64 = 64 << 20;

/// Why there is nothing to keep.
#[derive(Clone, Debug)]
pub enum Failed {
    /// Twitch refused.
    Twitch(Answer),
    /// The gate could not ask.
    Own(TwitchError),
}

impl From<TwitchError> for Failed {
    fn from(error: TwitchError) -> Self {
        Self::Own(error)
    }
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Kept {
    pub body: Bytes,
    pub rate: RateHeaders,
    pub at: Instant,
}

impl Kept {
    pub fn new(answer: Answer) -> Self {
        Self { body: answer.body, rate: answer.rate, at: Instant::now() }
    }
}

/// All caches of the gate.
#[derive(Debug)]
pub struct AnswerCache {
    pub people: People,
    pub moderated_channels: Cache<String, Kept>,
    pub streams: Cache<String, Kept>,
    /// By the hash of the token.
    pub validations: Cache<blake3::Hash, Validation>,
    pub reachable: Cache<(), Result<(), TwitchError>>,
}

impl AnswerCache {
    pub fn new() -> Self {
        Self {
            people: People::new(),
            moderated_channels: answers(CHANNELS_TTL),
            streams: answers(STREAMS_TTL),
            validations: Cache::builder().max_capacity(10_000).time_to_live(VALIDATION_TTL).build(),
            reachable: Cache::builder().max_capacity(1).time_to_live(REACHABLE_TTL).build(),
        }
    }

    /// What is kept under `key`, or what `ask` brings; true when nothing was asked by this call.
    pub async fn get(
        cache: &Cache<String, Kept>,
        key: String,
        ask: impl Future<Output = Result<Kept, Failed>>,
    ) -> Result<(Kept, bool), Failed> {
        let entry = cache.entry(key).or_try_insert_with(ask).await.map_err(|failed| Failed::clone(&failed))?;
        let is_hit = !entry.is_fresh();
        Ok((entry.into_value(), is_hit))
    }
}

fn answers(ttl: Duration) -> Cache<String, Kept> {
    Cache::builder()
        .max_capacity(MAX_BYTES / 4)
        .weigher(|key: &String, kept: &Kept| weight(key.len() + kept.body.len()))
        .time_to_live(ttl)
        .build()
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes + 128).unwrap_or(u32::MAX)
}

/// Public profiles, each by itself, so that overlapping questions share what they have in common.
#[derive(Debug)]
pub struct People {
    /// By `id:1` and `login:a`.
    known: Cache<String, Known>,
    /// Questions under way, by all that they ask for.
    questions: Cache<String, Arc<Reply>>,
}

/// What Twitch said about one account: its JSON, or that there is none.
#[derive(Clone, Debug)]
struct Known {
    json: Option<Arc<str>>,
    at: Instant,
}

#[derive(Debug)]
struct Reply {
    rate: RateHeaders,
    known: Vec<(String, Known)>,
}

impl People {
    fn new() -> Self {
        let weigh = |key: &String, known: &Known| weight(key.len() + known.json.as_ref().map_or(0, |json| json.len()));
        Self {
            known: Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_live(PEOPLE_TTL).build(),
            // Only to join those who ask at the same time; `known` holds the answer.
            questions: Cache::builder().max_capacity(1_000).time_to_live(Duration::from_secs(1)).build(),
        }
    }

    /// The profiles that `query` (`id` and `login` parameters) asks for; Twitch is asked for those not known.
    /// True when all were known. The answer is as old as the oldest profile in it.
    pub async fn get<F>(&self, query: Query, ask: impl FnOnce(Query) -> F) -> Result<(Kept, bool), Failed>
    where
        F: Future<Output = Result<Answer, Failed>>,
    {
        let mut wanted: Query = query.into_iter().map(|(kind, value)| (kind, value.to_lowercase())).collect();
        wanted.sort();
        wanted.dedup();
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        for (kind, value) in wanted {
            match self.known.get(&key(kind, &value)).await {
                Some(entry) => known.push(entry),
                None => missing.push((kind, value)),
            }
        }
        let mut rate = RateHeaders::default();
        let mut is_hit = true;
        if !missing.is_empty() {
            let question = format!("{missing:?}");
            let entry =
                self.questions.entry(question).or_try_insert_with(self.learn(missing.clone(), ask(missing))).await;
            let entry = entry.map_err(|failed| Failed::clone(&failed))?;
            is_hit = !entry.is_fresh();
            let reply = entry.into_value();
            rate = reply.rate;
            known.extend(reply.known.iter().map(|(_, entry)| entry.clone()));
        }
        let at = known.iter().map(|entry| entry.at).min().unwrap_or_else(Instant::now);
        Ok((Kept { body: joined(&known), rate, at }, is_hit))
    }

    async fn learn(
        &self,
        missing: Query,
        ask: impl Future<Output = Result<Answer, Failed>>,
    ) -> Result<Arc<Reply>, Failed> {
        let answer = ask.await?;
        let list: List<Value> = answer::parse(&answer.body)?;
        let at = Instant::now();
        let people: Vec<Value> = list.data.into_iter().map(without_private).collect();
        let mut known = Vec::new();
        for (kind, value) in missing {
            let person = people.iter().find(|person| {
                person.get(kind).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(&value))
            });
            let entry = Known { json: person.map(|person| person.to_string().into()), at };
            self.known.insert(key(kind, &value), entry.clone()).await;
            known.push((key(kind, &value), entry));
        }
        Ok(Arc::new(Reply { rate: answer.rate, known }))
    }
}

fn key(kind: &str, value: &str) -> String {
    format!("{kind}:{value}")
}

/// A token with `user:read:email` is told its own user's address, which is nobody else's business.
fn without_private(mut person: Value) -> Value {
    if let Some(fields) = person.as_object_mut() {
        fields.remove("email");
    }
    person
}

/// The profiles as Helix lists them, each once.
fn joined(known: &[Known]) -> Bytes {
    let mut seen = HashSet::new();
    let people: Vec<&str> =
        known.iter().filter_map(|entry| entry.json.as_deref()).filter(|json| seen.insert(*json)).collect();
    format!("{{\"data\":[{}]}}", people.join(",")).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn ids(ids: &[&str]) -> Query {
        ids.iter().map(|id| ("id", (*id).to_owned())).collect()
    }

    /// Knows everybody but 9.
    fn twitch(query: &Query) -> Answer {
        let people: Vec<Value> = query
            .iter()
            .filter(|(_, value)| value != "9")
            .map(|(_, id)| serde_json::json!({"id": id, "login": format!("u{id}"), "email": "x@example.org"}))
            .collect();
        let body = serde_json::json!({ "data": people }).to_string();
        Answer { status: 200, rate: RateHeaders::default(), body: body.into() }
    }

    #[tokio::test]
    async fn overlapping_questions_ask_only_for_what_is_not_known() {
        let people = People::new();
        let asked = AtomicUsize::new(0);
        let ask = async |query: Query| {
            asked.fetch_add(query.len(), Ordering::Relaxed);
            Ok(twitch(&query))
        };
        let (first, is_hit) = people.get(ids(&["1", "2", "9"]), ask).await.unwrap();
        assert!(!is_hit);
        assert_eq!(serde_json::from_slice::<Value>(&first.body).unwrap()["data"].as_array().unwrap().len(), 2);
        assert!(!String::from_utf8_lossy(&first.body).contains("email"));
        let (again, is_hit) = people.get(ids(&["9", "2", "1", "1"]), ask).await.unwrap();
        assert!(is_hit);
        assert_eq!(again.body, first.body);
        let (_, is_hit) = people.get(ids(&["2", "3"]), ask).await.unwrap();
        assert!(!is_hit);
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn many_at_once_ask_once_and_a_failure_is_not_kept() {
        let people = People::new();
        let asked = AtomicUsize::new(0);
        let failing = async |_: Query| Err(Failed::Own(TwitchError::NotFound));
        assert!(people.get(ids(&["1"]), failing).await.is_err());
        let slow = async |query: Query| {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(twitch(&query))
        };
        let results = futures_util::future::join_all((0..10).map(|_| people.get(ids(&["1"]), slow))).await;
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
