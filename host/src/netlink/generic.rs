//! Generic netlink (`linux/genetlink.h`): families of messages that are known by name and get their number when their
//! module is loaded.

use rtnetlink::packet_core::Emitable;

use crate::error::{Error, Result};
use crate::netlink::attribute::{attributes, u16_at};
use crate::netlink::message::append;
use crate::netlink::transport::{Failure, Transport};

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `struct genlmsghdr`: command, version, padding.
const HEADER: usize = 4;

/// A family that this kernel has.
pub(super) struct Family {
    transport: Transport,
    number: u16,
}

impl Family {
    /// Asks the kernel for the family. One that it does not have is an error of [`crate::error::Kind::NotFound`].
    pub(super) fn open(name: &str) -> Result<Self> {
        let mut transport = Transport::generic()?;
        let question = Request::new(CTRL_CMD_GETFAMILY).with_text(CTRL_ATTR_FAMILY_NAME, name);
        let step = || format!("ask for the netlink family {name}");
        let reply = transport
            .ask(GENL_ID_CTRL, &question)
            .map_err(|failure| failure.during(step()))?;
        let block = reply.payload.get(HEADER..).unwrap_or_default();
        let number = attributes(block)
            .find(|(kind, _)| *kind == CTRL_ATTR_FAMILY_ID)
            .and_then(|(_, value)| u16_at(value, 0));
        let number = number.ok_or_else(|| Error::Reply {
            step: step(),
            detail: "no number".to_owned(),
        })?;
        Ok(Self { transport, number })
    }

    /// A question with one answer: the answer's attributes.
    pub(super) fn ask(&mut self, request: &Request) -> std::result::Result<Vec<u8>, Failure> {
        let mut reply = self.transport.ask(self.number, request)?;
        reply.payload.drain(..HEADER.min(reply.payload.len()));
        Ok(reply.payload)
    }
}

/// A command with its attributes.
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn new(command: u8) -> Self {
        Self(vec![command, 1, 0, 0])
    }

    pub(super) fn with_text(mut self, kind: u16, text: &str) -> Self {
        append(&mut self.0, kind, &[text.as_bytes(), &[0]].concat());
        self
    }
}

impl Emitable for Request {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer[..self.0.len()].copy_from_slice(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn the_kernel_tells_the_number_of_a_family_that_it_has() {
        let controller = Family::open("nlctrl").unwrap();
        assert_eq!(controller.number, GENL_ID_CTRL);
    }

    #[test]
    fn a_family_that_the_kernel_does_not_have_is_not_found() {
        let Err(error) = Family::open("no_such_family") else {
            panic!("there is none of that name");
        };
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(
            error.to_string(),
            "ask for the netlink family no_such_family"
        );
    }
}
