//! Base URLs: where a session's calls may go, and nowhere else.
//!
//! INVARIANT: a key is sent to the scheme, host and port of its endpoint and beneath its path. The grammar
//! admitted here is a strict part of RFC 3986, so that no two readers can disagree on what a URL means: no user
//! information, no query, no fragment, no percent escapes, no dot segments, ASCII names only.

use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) secure: bool,
    /// A lower-case name, an IPv4 address, or an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty, or begins with `/` and does not end with it.
    pub(crate) prefix: String,
}

impl Endpoint {
    /// Read a base URL. The error says what is wrong with it and never repeats it, for it may hold a secret.
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        let (secure, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err("a base URL begins with https:// or http://"),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err("a base URL holds no user name or password; the key is given by itself");
        }
        let (host, port) = split_authority(authority)?;
        let port = match port {
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(digits) => parse_port(digits)?,
        };
        let prefix = path.trim_end_matches('/');
        if !prefix.is_empty() {
            check_path(prefix)?;
        }
        Ok(Self { secure, host: check_host(host)?, port, prefix: prefix.to_owned() })
    }

    /// The request target of `path` beneath this endpoint.
    pub(crate) fn target(&self, path: &str) -> Result<String, &'static str> {
        check_path(path)?;
        Ok(format!("{}{path}", self.prefix))
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}{}", if self.secure { "https" } else { "http" }, self.authority(), self.prefix)
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("an IPv6 address in a base URL lacks its bracket")?;
        return match (after.is_empty(), after.strip_prefix(':')) {
            (true, _) => Ok((host, None)),
            (false, Some(port)) => Ok((host, Some(port))),
            (false, None) => Err("a base URL holds something between its host and its path"),
        };
    }
    Ok(authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))))
}

fn parse_port(digits: &str) -> Result<u16, &'static str> {
    let plain = digits.len() <= 5 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse::<u16>().ok().filter(|port| plain && *port > 0);
    port.ok_or("the port of a base URL is a number from 1 to 65535")
}

fn check_host(host: &str) -> Result<String, &'static str> {
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    let host = host.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.is_empty() || host.len() > 253 || !host.split('.').all(label) {
        return Err("the host of a base URL is an ASCII name or an IP address");
    }
    // `127.1`, `0x7f.1` and `2130706433` name addresses to some readers and nothing to others.
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address in a base URL is four decimal numbers");
    }
    Ok(host)
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(segments) = path.strip_prefix('/') else {
        return Err("a path begins with /");
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,;=".contains(&b);
    for segment in segments.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." || !segment.bytes().all(allowed) {
            return Err("a path has no empty or dot segments, escapes, query or fragment");
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
