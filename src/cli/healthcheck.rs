//! `tca healthcheck`: asks every role of this container whether it lives and was ready once.
//!
//! An image has one health check, whatever its containers run. So the roles are read off the first process of the container
//! (`tca serve --role …`), unless `--role` names them.

use std::{net::IpAddr, time::Duration};

use anyhow::Context as _;
use serde::Deserialize;

use super::{Command, Failure, Start};
use crate::{
    config::{Needs, Settings},
    roles::Role,
};

/// Docker gives a health check 30 seconds unless told otherwise; a role that needs more than this is not healthy.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What `/healthz` answers; other fields are not looked at.
#[derive(Deserialize)]
struct Health {
    ready_once: bool,
}

/// Asks the roles; fails with a line for each that is not well.
pub async fn run(start: &Start, roles: Vec<Role>) -> Result<(), Failure> {
    let roles = if roles.is_empty() { roles_of_first_process() } else { roles };
    let settings = start.settings(roles, Needs::ValuesOnly)?;
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("cannot make an HTTP client")?;
    let asked = settings.roles.iter().map(|role| ask(&client, &settings, role));
    let complaints: Vec<String> =
        futures_util::future::join_all(asked).await.into_iter().filter_map(Result::err).collect();
    if complaints.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(complaints.join("\n       ")).into()) }
}

/// Asks one role; the error is a line about it.
async fn ask(client: &reqwest::Client, settings: &Settings, role: Role) -> Result<(), String> {
    let url = format!("http://{}:{}/healthz", own_host(settings.bind_addr), settings.ports.of(role));
    let response = client.get(&url).send().await;
    let response = response.map_err(|error| format!("{role} does not answer at {url}: {}", cause(&error)))?;
    let status = response.status();
    if status != reqwest::StatusCode::OK {
        return Err(format!("{role} answers {status} at {url}"));
    }
    match response.json::<Health>().await {
        Ok(Health { ready_once: true }) => Ok(()),
        Ok(Health { ready_once: false }) => Err(format!("{role} has not been ready since its start")),
        Err(_) => Err(format!("{role} gives an answer at {url} that is not understood")),
    }
}

/// The last cause says it best: "connection refused".
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// How this container reaches what listens on `bind_addr`.
fn own_host(bind_addr: IpAddr) -> String {
    match bind_addr {
        IpAddr::V4(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The roles of the container's first process; none (which means all) where that is something else.
fn roles_of_first_process() -> Vec<Role> {
    std::fs::read("/proc/1/cmdline").map(|line| roles_in(&line)).unwrap_or_default()
}

/// The roles in a command line as the kernel gives it; there may be an init program before `tca`.
fn roles_in(line: &[u8]) -> Vec<Role> {
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let words: Vec<String> = words.into_iter().skip_while(|word| word.rsplit('/').next() != Some("tca")).collect();
    let words = words.into_iter().filter(|word| !word.is_empty()).map(Into::into);
    match super::parse(words).map(|cli| cli.command) {
        Ok(Command::Serve(roles)) => roles.roles,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_are_read_off_the_first_process() {
        assert_eq!(roles_in(b"/usr/local/bin/tca\0serve\0--role\0worker\0"), [Role::Worker]);
        assert_eq!(
            roles_in(b"/sbin/docker-init\0--\0tca\0serve\0--role=gateway,worker\0"),
            [Role::Gateway, Role::Worker]
        );
        assert_eq!(roles_in(b"/usr/local/bin/tca\0serve\0"), []);
        assert_eq!(roles_in(b"/sbin/init\0splash\0"), []);
        assert_eq!(roles_in(b""), []);
    }

    /// A role that answers one request with `status` and `body`; returns its port.
    fn role_that_answers(status: &'static str, body: &'static str) -> u16 {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let _ = peer.read(&mut [0; 4096]).unwrap();
            let length = body.len();
            write!(peer, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
        });
        port
    }

    async fn complaint(worker: u16, analysis: u16) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let env = [("WORKER_PORT", worker), ("ANALYSIS_PORT", analysis)];
        let env = env.map(|(name, port)| (name.to_owned(), port.to_string())).into();
        let start = Start { env, config_dir: "no-such-folder".into() };
        match run(&start, vec![Role::Worker, Role::Analysis]).await {
            Ok(()) => String::new(),
            Err(Failure::Failed(error)) => error.to_string(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_role_has_to_answer_and_to_have_been_ready() {
        let well = || role_that_answers("200 OK", "{\"status\":\"ok\",\"ready_once\":true}");
        assert_eq!(complaint(well(), well()).await, "");
        let waiting = complaint(role_that_answers("200 OK", "{\"ready_once\":false}"), well()).await;
        assert_eq!(waiting, "worker has not been ready since its start");
        let broken = complaint(well(), role_that_answers("500 Internal Server Error", "")).await;
        assert!(broken.starts_with("analysis answers 500"), "{broken}");
        let strange = complaint(role_that_answers("200 OK", "ok"), role_that_answers("200 OK", "{}")).await;
        assert!(strange.contains("worker gives") && strange.contains("analysis gives"), "{strange}");
    }

    #[test]
    fn a_container_reaches_itself_on_whatever_it_listens() {
        assert_eq!(own_host("0.0.0.0".parse().unwrap()), "127.0.0.1");
        assert_eq!(own_host("::".parse().unwrap()), "[::1]");
        assert_eq!(own_host("10.0.0.5".parse().unwrap()), "10.0.0.5");
    }
}
