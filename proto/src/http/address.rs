//! Where HTTP is served.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A port of an interface.
    Tcp(SocketAddr),
    /// A unix socket, for probes that need no port.
    Unix(PathBuf),
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address: write a port like 9808 (loopback), an address like 10.0.0.1:9808 or [::]:9808, or unix:/PATH"
)]
pub struct NoAddress(String);

impl FromStr for Address {
    type Err = NoAddress;

    /// `9808` and `:9808` are loopback.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NoAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return path
                .is_absolute()
                .then_some(Self::Unix(path))
                .ok_or_else(refused);
        }
        let port = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = port.parse::<u16>() {
            return Ok(Self::Tcp((Ipv4Addr::LOCALHOST, port).into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| refused())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_loopback() {
        for text in ["9808", ":9808"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), "127.0.0.1:9808");
        }
    }

    #[test]
    fn other_addresses_must_be_written_out() {
        for text in ["0.0.0.0:9808", "[::]:9808", "unix:/run/sriovdp.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for junk in [
            "localhost:1",
            "",
            "70000",
            "unix:relative",
            "unix:",
            "0.0.0.0",
        ] {
            assert!(junk.parse::<Address>().is_err(), "{junk}");
        }
    }
}
