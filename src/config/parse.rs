//! From text to value, one function a kind. Errors say what is expected and never repeat a text that could be secret.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::Url;

/// A whole number within bounds.
pub fn number(text: &str, min: u32, max: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| format!("'{text}' is not a whole number from {min} to {max}"))
}

/// Whole seconds, or a number with a unit; bounds in milliseconds.
pub fn span(text: &str, min: u64, max: u64) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim() {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let millis = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    match millis {
        None => Err(format!("'{text}' is not a span; write seconds, or a text such as 500ms, 30s, 5m")),
        Some(millis) if !(min..=max).contains(&millis) => {
            Err(format!("'{text}' is not within {} and {} seconds", in_seconds(min), in_seconds(max)))
        }
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

fn in_seconds(millis: u64) -> String {
    if millis.is_multiple_of(1_000) { (millis / 1_000).to_string() } else { format!("0.{:03}", millis % 1_000) }
}

/// The address of an interface.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().ok().ok_or_else(|| format!("'{text}' is not an IP address; 0.0.0.0 listens on all interfaces"))
}

/// A URL with one of `schemes` and a host.
pub fn url(text: &str, schemes: &[&str]) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(url),
        _ => Err(format!("not a URL; expected {}://HOST", schemes.join(":// or "))),
    }
}

/// The URL of a server or a database file; the text itself stays as it is, because drivers read it in their own way.
pub fn server_url(text: &str, schemes: &[&str]) -> Result<String, String> {
    let scheme = text.split(':').next().unwrap_or_default();
    if !schemes.contains(&scheme) {
        return Err(format!("not a URL that starts with {}://", schemes.join(":// or ")));
    }
    if scheme == "sqlite" {
        let path = text.trim_start_matches("sqlite:").trim_start_matches("//").split('?').next().unwrap_or_default();
        return if path.is_empty() {
            Err("names no file; expected sqlite://FILE".to_owned())
        } else {
            Ok(text.to_owned())
        };
    }
    let parsed = Url::parse(text).ok().filter(Url::has_host);
    match parsed {
        None => Err(format!("not a URL; expected {scheme}://HOST (special characters of a password as %XX)")),
        Some(url) if matches!(scheme, "mysql" | "mariadb") && url.path().trim_matches('/').is_empty() => {
            Err(format!("names no database; expected {scheme}://USER:PASSWORD@HOST:PORT/NAME"))
        }
        Some(_) => Ok(text.to_owned()),
    }
}

/// The parts between commas, trimmed, without empty ones.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Twitch logins in lower case.
pub fn logins(text: &str) -> Result<Vec<String>, String> {
    let logins: Vec<String> = list(text).iter().map(|login| login.to_ascii_lowercase()).collect();
    let is_login = |login: &&String| !login.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match logins.iter().find(is_login) {
        Some(wrong) => Err(format!("'{wrong}' is not a Twitch login; expected letters, digits and _, comma-separated")),
        None => Ok(logins),
    }
}

/// Networks; a lone address is a network of one.
pub fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    list(text)
        .iter()
        .map(|part| {
            let alone = || part.parse::<IpAddr>().ok().map(IpNet::from);
            part.parse().ok().or_else(alone).ok_or_else(|| format!("'{part}' is not a network such as 10.0.0.0/8"))
        })
        .collect()
}

/// A filter of log lines. A lone word must be a level: the filter library would take it for the name of a module.
pub fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let wrong =
        || format!("'{text}' is not a log level; expected error, warn, info, debug, trace, or info,tca::job=debug");
    let is_level = |part: &str| LEVELS.contains(&part.to_ascii_lowercase().as_str());
    let parts = list(text);
    if parts.is_empty() || !parts.iter().all(|part| part.contains(['=', '[']) || is_level(part)) {
        return Err(wrong());
    }
    EnvFilter::try_new(text).ok().map(|_| text.to_owned()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_seconds_or_have_a_unit() {
        for (text, millis) in [("2", 2_000), ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2 h", 7_200_000)] {
            assert_eq!(span(text, 0, u64::MAX), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "1.5", "1w", "99999999999999999999", "18446744073709551615d"] {
            assert!(span(text, 0, u64::MAX).is_err(), "{text}");
        }
        assert_eq!(span("0", 10, 60_000), Err("'0' is not within 0.010 and 60 seconds".to_owned()));
    }

    #[test]
    fn servers_are_named_by_their_schemes() {
        let redis = ["redis", "rediss", "redis-sentinel"];
        for text in ["redis://host:6379", "rediss://:p@host/2", "redis-sentinel://a:26379?node=b:26379"] {
            assert!(server_url(text, &redis).is_ok(), "{text}");
        }
        let databases = ["sqlite", "mysql", "mariadb"];
        for text in ["sqlite://data/tca.db", "sqlite:tca.db?mode=rwc", "sqlite::memory:", "mariadb://u:p@h:1/db"] {
            assert!(server_url(text, &databases).is_ok(), "{text}");
        }
        for text in ["sqlite://", "mysql://host", "mysql://host/", "mysql:///db", "tca.db", "postgres://h/d", ""] {
            assert!(server_url(text, &databases).is_err(), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_as_a_filter() {
        for text in ["info", "WARN", "off", "info,tca::job=debug", "warn,tca[span]=trace"] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in ["loud", "info,loud", "tca=loud", ","] {
            assert!(log_filter(text).is_err(), "{text}");
        }
    }
}
