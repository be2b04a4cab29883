//! Hands out the merged values by type and notes everything that is wrong on the way.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::{
    layers::{DEFAULT_SOURCE, Merged},
    parse,
    problem::Problem,
    table::{Kind, Setting},
};

/// A value is unusable; the problem is noted already.
#[derive(Clone, Copy, Debug)]
pub struct Invalid;

/// `Ok(None)` where a setting without fixed default is not set.
pub type Read<T> = Result<Option<T>, Invalid>;

/// The merged values, the problems so far, and what holds for settings that were not set.
pub struct Reader {
    pub merged: Merged,
    pub problems: Vec<Problem>,
    /// Effective values of rows without a fixed default, for display: value and source.
    pub computed: BTreeMap<&'static str, (String, String)>,
}

impl Reader {
    /// A reader over `merged`.
    pub fn new(merged: Merged, problems: Vec<Problem>) -> Self {
        Self { merged, problems, computed: BTreeMap::new() }
    }

    /// Notes a problem of `key`, unless one is noted already: the first is the cause of the others.
    pub fn refuse(&mut self, key: &'static str, message: impl Into<String>) -> Invalid {
        if !self.problems.iter().any(|problem| problem.key == key) {
            self.problems.push(Problem::of(row(key), message));
        }
        Invalid
    }

    /// Notes that `key` has to be set; `hint` says more.
    pub fn refuse_missing(&mut self, key: &'static str, hint: &str) -> Invalid {
        let row = row(key);
        let by_file = row.file_variable().map_or_else(String::new, |name| format!(" or {name}"));
        self.refuse(key, format!("missing; set {}{by_file}{hint}", row.variable))
    }

    /// Remembers the value that holds for a setting that was not set.
    pub fn compute(&mut self, key: &'static str, value: impl Into<String>) {
        self.computed.insert(key, (value.into(), DEFAULT_SOURCE.to_owned()));
    }

    /// Whether somebody set `key`.
    pub fn is_set(&self, key: &str) -> bool {
        self.merged.contains_key(key)
    }

    /// Any value, parsed by `parse`.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str, Kind) -> Result<T, String>) -> Read<T> {
        let Some(found) = self.merged.get(key) else { return Ok(None) };
        match parse(found.text.trim(), row(key).kind) {
            Ok(value) => Ok(Some(value)),
            Err(message) => {
                let at =
                    if found.source == row(key).variable { String::new() } else { format!(", in {}", found.source) };
                Err(self.refuse(key, format!("{message}{at}")))
            }
        }
    }

    pub fn text(&mut self, key: &'static str) -> Read<String> {
        self.parsed(key, |text, _| Ok(text.to_owned()))
    }

    pub fn secret(&mut self, key: &'static str) -> Read<SecretString> {
        self.parsed(key, |text, _| Ok(SecretString::from(text)))
    }

    /// Secrets of at least `min` bytes, the writing one first.
    pub fn secrets(&mut self, key: &'static str, min: usize) -> Result<Vec<SecretString>, Invalid> {
        let secrets = self.parsed(key, |text, _| {
            let secrets = parse::list(text);
            match secrets.iter().position(|secret| secret.len() < min) {
                Some(at) => Err(format!("entry {} has {} bytes; at least {min} are needed", at + 1, secrets[at].len())),
                None => Ok(secrets.into_iter().map(SecretString::from).collect()),
            }
        });
        secrets.map(Option::unwrap_or_default)
    }

    pub fn choice(&mut self, key: &'static str) -> Read<String> {
        self.parsed(key, |text, kind| match kind {
            Kind::Choice(words) if !words.contains(&text) => {
                Err(format!("'{text}' is unknown; expected {}", words.join(", ")))
            }
            _ => Ok(text.to_owned()),
        })
    }

    pub fn number(&mut self, key: &'static str) -> Read<u32> {
        self.parsed(key, |text, kind| {
            let (min, max) = if let Kind::Number(min, max) = kind { (min, max) } else { (0, u32::MAX) };
            parse::number(text, min, max)
        })
    }

    pub fn port(&mut self, key: &'static str) -> Read<u16> {
        // The bounds of the row make it fit.
        self.number(key).map(|port| port.and_then(|port| u16::try_from(port).ok()))
    }

    pub fn span(&mut self, key: &'static str) -> Read<Duration> {
        self.parsed(key, |text, kind| {
            let (min, max) = if let Kind::Span(min, max) = kind { (min, max) } else { (0, u64::MAX) };
            parse::span(text, min, max)
        })
    }

    pub fn address(&mut self, key: &'static str) -> Read<IpAddr> {
        self.parsed(key, |text, _| parse::address(text))
    }

    pub fn url(&mut self, key: &'static str) -> Read<Url> {
        self.parsed(key, |text, kind| parse::url(text, schemes(kind)))
    }

    pub fn server_url(&mut self, key: &'static str) -> Read<String> {
        self.parsed(key, |text, kind| parse::server_url(text, schemes(kind)))
    }

    pub fn networks(&mut self, key: &'static str) -> Read<Vec<IpNet>> {
        self.parsed(key, |text, _| parse::networks(text))
    }

    pub fn logins(&mut self, key: &'static str) -> Read<Vec<String>> {
        self.parsed(key, |text, _| parse::logins(text))
    }

    pub fn log_filter(&mut self, key: &'static str) -> Read<String> {
        self.parsed(key, |text, _| parse::log_filter(text))
    }
}

/// For rows with a fixed default, which are never absent.
pub fn fixed<T>(read: Read<T>) -> Result<T, Invalid> {
    read?.ok_or(Invalid)
}

fn schemes(kind: Kind) -> &'static [&'static str] {
    if let Kind::Url(schemes) | Kind::ServerUrl(schemes) = kind { schemes } else { &[] }
}

fn row(key: &str) -> &'static Setting {
    Setting::find(key).expect("keys in the code are keys of the table")
}
