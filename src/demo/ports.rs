//! The ports of the demo: the usual ones, or free ones where those are taken and nobody asked for them.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

use anyhow::Context as _;

use crate::{config::Settings, roles::Role};

/// A port that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose it is: a role's name, or `twitch-sim`.
    pub who: &'static str,
    pub usual: u16,
    pub chosen: u16,
}

/// Bound ports.
#[derive(Debug)]
pub struct Claimed {
    pub roles: Vec<(Role, TcpListener)>,
    pub twitch: TcpListener,
    pub twitch_port: u16,
    /// The ports as settings.
    pub flags: Vec<(String, String)>,
    pub moved: Vec<Moved>,
}

/// One door: whose, its variable, its key, its port.
type Door = (&'static str, &'static str, &'static str, u16);

/// Binds the ports of `wanted`; those that `env` names exactly as they are.
pub fn claim(wanted: &Settings, env: &BTreeMap<String, String>) -> anyhow::Result<Claimed> {
    let address = wanted.bind_addr;
    let mut flags = Vec::new();
    let mut moved = Vec::new();
    let mut open = |(who, variable, key, usual): Door| -> anyhow::Result<(TcpListener, u16)> {
        let is_asked_for = env.get(variable).is_some_and(|value| !value.trim().is_empty());
        let listener = bind(address, usual, !is_asked_for)
            .with_context(|| format!("cannot listen on {address}, port {usual}, which {variable} asks for"))?;
        let chosen = listener.local_addr().context("cannot read which port was bound")?.port();
        if chosen != usual && usual != 0 {
            moved.push(Moved { who, usual, chosen });
        }
        flags.push((key.to_owned(), chosen.to_string()));
        Ok((listener, chosen))
    };
    let roles = wanted.roles.iter().map(|role| {
        let (variable, key) = names(role);
        Ok((role, open((role.as_str(), variable, key, wanted.ports.of(role)))?.0))
    });
    let roles = roles.collect::<anyhow::Result<Vec<_>>>()?;
    let (twitch, twitch_port) = open(("twitch-sim", "TWITCH_SIM_PORT", "simulator.port", wanted.ports.twitch_sim))?;
    Ok(Claimed { roles, twitch, twitch_port, flags, moved })
}

/// The variable and the key of a role's port.
const fn names(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Gateway => ("GATEWAY_PORT", "server.gateway_port"),
        Role::TwitchProxy => ("TWITCH_PROXY_PORT", "server.twitch_proxy_port"),
        Role::Worker => ("WORKER_PORT", "server.worker_port"),
        Role::Analysis => ("ANALYSIS_PORT", "server.analysis_port"),
    }
}

fn bind(address: IpAddr, port: u16, may_move: bool) -> io::Result<TcpListener> {
    match TcpListener::bind(SocketAddr::new(address, port)) {
        Err(error) if may_move && error.kind() == io::ErrorKind::AddrInUse => TcpListener::bind((address, 0)),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_unless_it_was_asked_for() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let taken = TcpListener::bind((here, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let other = bind(here, port, true).unwrap().local_addr().unwrap().port();
        assert_ne!(other, port);
        assert_eq!(bind(here, port, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
