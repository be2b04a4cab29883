//! The settings of the database: its URL, whole or in parts, and how many connections each role needs.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

use super::{
    DatabaseSettings,
    reader::{Invalid, Read, Reader},
};
use crate::roles::{Role, RoleSet};

const DEFAULT_URL: &str = "sqlite://data/tca.db";
const PARTS: [&str; 5] = ["database.host", "database.port", "database.name", "database.user", "database.password"];

/// Reads the section `database`.
pub fn read(reader: &mut Reader, roles: &RoleSet) -> Result<DatabaseSettings, Invalid> {
    let url = url(reader);
    let read_url = read_url(reader, url.as_ref().ok());
    let pool = pool(reader, roles);
    let (max_open, max_idle) = pool?;
    Ok(DatabaseSettings { url: url?, read_url: read_url?, max_open, max_idle })
}

fn url(reader: &mut Reader) -> Result<SecretString, Invalid> {
    if let Some(url) = reader.server_url("database.url")? {
        return Ok(SecretString::from(url));
    }
    if !PARTS.iter().any(|part| reader.is_set(part)) {
        reader.compute("database.url", DEFAULT_URL);
        return Ok(SecretString::from(DEFAULT_URL));
    }
    let host = part(reader, "database.host");
    let port = reader.number("database.port");
    let name = part(reader, "database.name");
    let user = part(reader, "database.user");
    let password = reader.secret("database.password")?;
    let (host, name, user) = (host?, name?, user?);
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    let password =
        password.map_or_else(String::new, |password| format!(":{}", percent_encoded(password.expose_secret())));
    let account = format!("{}{password}", percent_encoded(&user));
    let url = format!("mysql://{account}@{host}:{}/{}", port?.unwrap_or(3306), percent_encoded(&name));
    if url::Url::parse(&url).is_err() {
        return Err(reader.refuse("database.host", format!("'{host}' is not the name of a host")));
    }
    reader.computed.insert("database.url", (redacted(&url), "database.host and the others".to_owned()));
    Ok(SecretString::from(url))
}

/// A part that is needed as soon as another one is set.
fn part(reader: &mut Reader, key: &'static str) -> Result<String, Invalid> {
    match reader.text(key)? {
        Some(text) => Ok(text),
        None => Err(reader.refuse_missing(key, ", or the whole DATABASE_URL")),
    }
}

fn read_url(reader: &mut Reader, url: Option<&SecretString>) -> Read<SecretString> {
    let Some(read_url) = reader.server_url("database.read_url")? else { return Ok(None) };
    let is_sqlite = |url: &str| url.starts_with("sqlite:");
    if is_sqlite(&read_url) || url.is_some_and(|url| is_sqlite(url.expose_secret())) {
        return Err(reader.refuse("database.read_url", "a read replica needs MariaDB on both sides"));
    }
    Ok(Some(SecretString::from(read_url)))
}

fn pool(reader: &mut Reader, roles: &RoleSet) -> Result<(u32, u32), Invalid> {
    let largest = |side: fn((u32, u32)) -> u32| roles.iter().map(pool_of).map(side).max().unwrap_or(1);
    let (default_open, default_idle) = (largest(|pool| pool.0), largest(|pool| pool.1));
    let open = reader.number("database.max_open");
    let idle = reader.number("database.max_idle");
    let open = open?.unwrap_or(default_open);
    reader.compute("database.max_open", open.to_string());
    match idle? {
        Some(idle) if idle > open => {
            Err(reader.refuse("database.max_idle", format!("{idle} is more than database.max_open, which is {open}")))
        }
        Some(idle) => Ok((open, idle)),
        None => {
            let idle = default_idle.min(open);
            reader.compute("database.max_idle", idle.to_string());
            Ok((open, idle))
        }
    }
}

/// Open and idle connections that a role needs.
const fn pool_of(role: Role) -> (u32, u32) {
    match role {
        Role::Gateway => (50, 10),
        Role::Worker => (20, 5),
        Role::Analysis => (30, 10),
        Role::TwitchProxy => (5, 2),
    }
}

/// Encodes everything but letters, digits and `-._~`: a `%` or `@` in a password must not be taken for part of the URL.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The URL of a server without what could be secret: password and options.
pub fn redacted(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = url::Url::parse(text) else { return format!("(secret, {} bytes)", text.len()) };
    // Fails only for URLs without a host, which have no password.
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return format!("(secret, {} bytes)", text.len());
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    url.to_string()
}
