//! What is wrong with the settings: always the whole list, never just the first.

use std::fmt;

use super::table::Setting;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The name in the files; empty when a whole file cannot be read.
    pub key: String,
    /// The name in the environment; empty when there is none.
    pub variable: String,
    /// What is wrong and what to do. Never holds a secret.
    pub message: String,
}

impl Problem {
    /// A problem of a known setting.
    pub fn of(setting: &Setting, message: impl Into<String>) -> Self {
        Self { key: setting.key.to_owned(), variable: setting.variable.to_owned(), message: message.into() }
    }

    /// A problem of something that is not in the table: a file, or an unknown key in it.
    pub fn elsewhere(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: place.into(), variable: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.variable.is_empty() {
            write!(f, " ({})", self.variable)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "problem" } else { "problems" };
        write!(f, "{} {noun} in the settings", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}
