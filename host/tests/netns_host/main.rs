//! The crate on the real kernel, each test in namespaces of its own.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "test code"
)]

mod address;
mod identity;
mod link;
mod route;
mod vf;
mod watch;

use host::netlink::Netlink;
use host::netlink::create::NewLink;
use host::netlink::link::LinkChange;

/// Creates a pair of links and gives their indexes.
fn pair(netlink: &mut Netlink, one: &str, other: &str) -> (u32, u32) {
    netlink
        .create_link(one, NewLink::Veth { peer: other })
        .unwrap();
    (index(netlink, one), index(netlink, other))
}

fn index(netlink: &mut Netlink, name: &str) -> u32 {
    netlink.link_by_name(name).unwrap().unwrap().index
}

fn up(netlink: &mut Netlink, index: u32) {
    let change = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    netlink.change_link(index, &change).unwrap();
}

/// The error with its causes, as a program prints it.
fn chain(error: &host::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
