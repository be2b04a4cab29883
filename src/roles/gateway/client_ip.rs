//! The address of the person behind a request.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;
use ipnet::IpNet;

/// The client's address: the peer's, or, where the peer is a trusted proxy, the last hop in `X-Forwarded-For` that is not one.
pub fn of(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let forwarded: Vec<&str> =
        request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
    Some(behind_proxies(peer, &forwarded.join(","), trusted))
}

fn behind_proxies(peer: IpAddr, forwarded: &str, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut client = peer;
    for hop in forwarded.rsplit(',').map(str::trim).filter(|hop| !hop.is_empty()) {
        if !is_trusted(&client) {
            break;
        }
        match hop.parse::<IpAddr>() {
            Ok(ip) => client = ip.to_canonical(),
            // What a proxy did not write cannot be believed, nor anything before it.
            Err(_) => break,
        }
    }
    client
}

/// The part of an address that one household or host cannot change at will: all of IPv4, the first 64 bits of IPv6.
pub fn household(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_stranger_cannot_choose_an_address() {
        assert_eq!(behind_proxies(ip("203.0.113.9"), "1.2.3.4", &[]), ip("203.0.113.9"));
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(behind_proxies(ip("203.0.113.9"), "1.2.3.4", &trusted), ip("203.0.113.9"));
        assert_eq!(behind_proxies(ip("10.0.0.1"), "1.2.3.4, 203.0.113.9", &trusted), ip("203.0.113.9"));
        assert_eq!(behind_proxies(ip("10.0.0.1"), "1.2.3.4, 203.0.113.9, 10.0.0.7", &trusted), ip("203.0.113.9"));
        assert_eq!(behind_proxies(ip("10.0.0.1"), "nonsense", &trusted), ip("10.0.0.1"));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_household() {
        assert_eq!(household(ip("2001:db8::1")), household(ip("2001:db8::ffff:1")));
        assert_ne!(household(ip("2001:db8::1")), household(ip("2001:db8:0:1::1")));
        assert_ne!(household(ip("192.0.2.1")), household(ip("192.0.2.2")));
    }
}
