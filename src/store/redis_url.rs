//! What a `REDIS_URL` says, brought into the one form that the client library reads.
//!
//! ```text
//! redis://[user:password@]host[:6379][/database][?prefix=name]            rediss:// the same over TLS
//! redis-sentinel://[user:password@]host[:26379][,host…][/service][/database][?prefix=name]
//! ```
//!
//! The service is `mymaster` unless named, in the path or as `sentinelServiceName`; `sentinelUsername` and
//! `sentinelPassword` are for the sentinels themselves. `prefix` (default `tca`) keeps installations apart on one Redis.

use url::Url;

use super::StoreError;

const SCHEMES: [&str; 4] = ["redis", "rediss", "redis-sentinel", "rediss-sentinel"];
const SENTINEL_PORT: u16 = 26379;

/// A `REDIS_URL`, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RedisUrl {
    /// In the client library's form.
    pub(super) url: String,
    /// What all keys and channels begin with.
    pub(super) prefix: String,
    /// The database for all areas; `None`: one for each.
    pub(super) database: Option<u8>,
}

impl RedisUrl {
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refused("it has no scheme"))?;
        if !SCHEMES.contains(&scheme) {
            return Err(refused("the scheme must be redis, rediss or redis-sentinel"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), authority),
        };
        let sentinel = scheme.ends_with("-sentinel");
        let mut hosts = hosts.split(',').map(|host| {
            let port_missing = sentinel && !host.contains(':');
            if port_missing { format!("{host}:{SENTINEL_PORT}") } else { host.to_owned() }
        });
        let first = hosts.next().unwrap_or_default();
        let others: Vec<String> = hosts.collect();
        if !sentinel && !others.is_empty() {
            return Err(refused("only redis-sentinel takes several hosts"));
        }
        let mut url = Url::parse(&format!("{scheme}://{credentials}{first}{tail}"))
            .map_err(|error| refused(&error.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refused("it names no host"));
        }
        let (service, database) = read_path(url.path(), sentinel)?;
        let prefix = rewrite_query(&mut url, &others, service.as_deref().or(sentinel.then_some("mymaster")))?;
        url.set_path(&database.map(|number| number.to_string()).unwrap_or_default());
        Ok(Self { url: url.into(), prefix, database })
    }
}

/// `/service/3`, `/service`, `/3` or nothing; a service only where sentinels are asked.
fn read_path(path: &str, sentinel: bool) -> Result<(Option<String>, Option<u8>), StoreError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let number = |text: &str| text.parse().map_err(|_not_a_number| refused("the database must be 0 to 255"));
    match parts.as_slice() {
        [] => Ok((None, None)),
        [service] if sentinel && service.parse::<u8>().is_err() => Ok((Some((*service).to_owned()), None)),
        [database] => Ok((None, Some(number(database)?))),
        [service, database] if sentinel => Ok((Some((*service).to_owned()), Some(number(database)?))),
        _ => Err(refused("the path must be the number of a database")),
    }
}

/// Takes `prefix` out, puts further hosts and the service in.
fn rewrite_query(url: &mut Url, others: &[String], service: Option<&str>) -> Result<String, StoreError> {
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let prefix = pairs.iter().find(|(name, _)| name == "prefix").map_or("tca".to_owned(), |(_, value)| value.clone());
    if prefix.is_empty() || !prefix.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
        return Err(refused("the prefix may hold letters, digits and - _ . : only"));
    }
    pairs.retain(|(name, _)| name != "prefix");
    pairs.extend(others.iter().map(|host| ("node".to_owned(), host.clone())));
    if let Some(service) = service
        && !pairs.iter().any(|(name, _)| name == "sentinelServiceName")
    {
        pairs.push(("sentinelServiceName".to_owned(), service.to_owned()));
    }
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(prefix)
}

/// The reason only, never the URL: it may hold a password.
fn refused(reason: &str) -> StoreError {
    StoreError(format!("the URL of Redis cannot be used: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<u8>) {
        let url = RedisUrl::parse(text).unwrap();
        (url.url, url.database)
    }

    #[test]
    fn single_servers_are_passed_on() {
        assert_eq!(parsed("redis://h"), ("redis://h".to_owned(), None));
        assert_eq!(parsed("redis://u:p%2F@h:1/"), ("redis://u:p%2F@h:1".to_owned(), None));
        assert_eq!(parsed("rediss://:p@h:6380/3"), ("rediss://:p@h:6380/3".to_owned(), Some(3)));
    }

    #[test]
    fn sentinels_are_a_list_of_hosts_with_a_service() {
        let (url, database) = parsed("redis-sentinel://u:p@a,b:1,c/main/2");
        assert_eq!(url, "redis-sentinel://u:p@a:26379/2?node=b%3A1&node=c%3A26379&sentinelServiceName=main");
        assert_eq!(database, Some(2));
        assert_eq!(parsed("redis-sentinel://a").0, "redis-sentinel://a:26379?sentinelServiceName=mymaster");
        let named = "redis-sentinel://a:1/4?sentinelServiceName=x";
        assert_eq!(parsed(named), (named.to_owned(), Some(4)));
    }

    #[test]
    fn a_prefix_is_taken_out() {
        let url = RedisUrl::parse("redis://h/1?prefix=blue").unwrap();
        assert_eq!((url.url.as_str(), url.prefix.as_str()), ("redis://h/1", "blue"));
        assert_eq!(RedisUrl::parse("redis://h").unwrap().prefix, "tca");
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_showing_the_password() {
        for text in [
            "h:1",
            "http://u:secret@h",
            "redis://u:secret@h:port",
            "redis://u:secret@h/one",
            "redis://u:secret@h/300",
            "redis://u:secret@h/1/2",
            "redis://u:secret@a,b",
            "redis://",
            "redis://u:secret@h?prefix=a b",
        ] {
            let error = RedisUrl::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
