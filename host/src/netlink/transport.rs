//! The request loop: sends one message, matches replies by sequence number, decodes errors with the kernel's text.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use rtnetlink::packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST,
    NetlinkBuffer, NetlinkHeader,
};
use rtnetlink::sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE};
use rtnetlink::sys::{Socket, SocketAddr};

use crate::error::{Cause, Error, Result};
use crate::netlink::attribute::{attributes, text, u32_at};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The error does not repeat the request's payload (`NETLINK_CAP_ACK`).
const NLM_F_CAPPED: u16 = 0x100;
/// Attributes follow the error (`NETLINK_EXT_ACK`).
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
const ERROR_AND_HEADER: usize = 4 + 16;
/// Room for the largest message: a list of VFs, whose attribute has a length of 16 bits, and the link around it. Lists in
/// several messages come in parts of 32 KiB.
const LARGEST_MESSAGE: usize = 80 << 10;
/// The kernel answers a request before sending it has returned, however long that took; without this, an answer that got
/// lost would be waited for forever.
const PATIENCE: Duration = Duration::from_secs(10);
/// A dump that changes while it is read is read again this often.
const DUMP_TRIES: usize = 16;

/// A socket of one namespace.
pub(super) struct Transport {
    pub(super) socket: Socket,
    sequence: u32,
    datagram: Vec<u8>,
}

/// A message of the kernel.
pub(super) struct Reply {
    pub(super) kind: u16,
    pub(super) payload: Vec<u8>,
}

/// Why there is no answer; becomes an [`Error`] once the step has a name.
pub(super) enum Failure {
    Refused(Cause),
    Garbled(String),
    Silent,
}

impl Failure {
    pub(super) fn during(self, step: impl Into<String>) -> Error {
        let step = step.into();
        match self {
            Self::Refused(source) => Error::Kernel { step, source },
            Self::Garbled(detail) => Error::Reply { step, detail },
            Self::Silent => Error::Deadline {
                step,
                seconds: PATIENCE.as_secs_f64(),
            },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl Transport {
    pub(super) fn open() -> Result<Self> {
        Self::of(NETLINK_ROUTE)
    }

    /// To the kernel's families of messages that are known by name.
    pub(super) fn generic() -> Result<Self> {
        Self::of(NETLINK_GENERIC)
    }

    fn of(protocol: isize) -> Result<Self> {
        let open = || {
            let socket = Socket::new(protocol)?;
            // Only for better messages; kernels before 4.12 do not have it.
            let _ = socket.set_ext_ack(true);
            // Binds as well.
            socket.connect(&SocketAddr::new(0, 0))?;
            limit(&socket, PATIENCE)?;
            Ok(socket)
        };
        let socket =
            open().map_err(|error: io::Error| Error::kernel("open a netlink socket", error))?;
        Ok(Self {
            socket,
            sequence: 0,
            datagram: Vec::with_capacity(LARGEST_MESSAGE),
        })
    }

    /// A change: waits for the kernel's acknowledgement.
    pub(super) fn change(
        &mut self,
        kind: u16,
        payload: &dyn Emitable,
        flags: u16,
    ) -> std::result::Result<(), Failure> {
        self.send(kind, payload, flags | NLM_F_ACK)?;
        loop {
            for message in self.receive()? {
                if message.kind == NLMSG_ERROR {
                    return acknowledgement(&message);
                }
            }
        }
    }

    /// A question with one answer.
    pub(super) fn ask(
        &mut self,
        kind: u16,
        payload: &dyn Emitable,
    ) -> std::result::Result<Reply, Failure> {
        self.send(kind, payload, 0)?;
        loop {
            for message in self.receive()? {
                match message.kind {
                    NLMSG_ERROR => acknowledgement(&message)?,
                    _ if message.flags & NLM_F_MULTIPART == 0 => return Ok(message.into()),
                    _ => {}
                }
            }
        }
    }

    /// A question with many answers, asked again while the answer changes under our eyes.
    pub(super) fn dump(
        &mut self,
        kind: u16,
        payload: &dyn Emitable,
    ) -> std::result::Result<Vec<Reply>, Failure> {
        for _ in 0..DUMP_TRIES {
            self.send(kind, payload, NLM_F_DUMP)?;
            if let Some(replies) = self.collect()? {
                return Ok(replies);
            }
        }
        Err(Failure::Refused(Cause::new(
            nix::libc::EINTR,
            "the list changed during each of many readings",
        )))
    }

    fn collect(&mut self) -> std::result::Result<Option<Vec<Reply>>, Failure> {
        let mut dump = Dump::default();
        loop {
            for message in self.receive()? {
                if dump.take(message)? {
                    return Ok(dump.finish());
                }
            }
        }
    }

    fn send(&mut self, kind: u16, payload: &dyn Emitable, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        let start = header.buffer_len();
        let mut bytes = vec![0; start + payload.buffer_len()];
        header.length = u32::try_from(bytes.len()).map_err(|_| ErrorKind::InvalidInput)?;
        header.message_type = kind;
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        header.emit(&mut bytes[..start]);
        payload.emit(&mut bytes[start..]);
        loop {
            match self.socket.send(&bytes, 0) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// The next datagram's messages that answer the last request.
    fn receive(&mut self) -> std::result::Result<Vec<Message>, Failure> {
        loop {
            self.datagram.clear();
            let received = self
                .socket
                .recv_from(&mut self.datagram, nix::libc::MSG_TRUNC);
            match received {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Silent),
                Err(error) => return Err(error.into()),
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((length, _)) if length > self.datagram.len() => {
                    return Err(Failure::Garbled(format!("a message of {length} bytes")));
                }
                Ok(_) => break,
            }
        }
        let mut messages = split(&self.datagram)?;
        messages.retain(|message| message.sequence == self.sequence);
        Ok(messages)
    }
}

/// How long an answer may take.
fn limit(socket: &Socket, within: Duration) -> io::Result<()> {
    let within = TimeVal::new(
        i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
        within.subsec_micros().into(),
    );
    Ok(setsockopt(
        &socket.as_fd(),
        sockopt::ReceiveTimeout,
        &within,
    )?)
}

/// The messages of one dump.
#[derive(Default)]
struct Dump {
    replies: Vec<Reply>,
    interrupted: bool,
}

impl Dump {
    /// True when the dump is complete.
    fn take(&mut self, message: Message) -> std::result::Result<bool, Failure> {
        self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
        match message.kind {
            NLMSG_ERROR => acknowledgement(&message).map(|()| false),
            NLMSG_DONE => done(&message).map(|()| true),
            _ => {
                self.replies.push(message.into());
                Ok(false)
            }
        }
    }

    /// `None` if the list changed while the kernel wrote it: entries may be missing or double.
    fn finish(self) -> Option<Vec<Reply>> {
        (!self.interrupted).then_some(self.replies)
    }
}

struct Message {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: Vec<u8>,
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self {
            kind: message.kind,
            payload: message.payload,
        }
    }
}

fn split(datagram: &[u8]) -> std::result::Result<Vec<Message>, Failure> {
    let mut messages = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let header = NetlinkBuffer::new_checked(&rest)
            .map_err(|error| Failure::Garbled(error.to_string()))?;
        messages.push(Message {
            kind: header.message_type(),
            flags: header.flags(),
            sequence: header.sequence_number(),
            payload: header.payload().to_vec(),
        });
        let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(messages)
}

/// `NLMSG_ERROR`: errno 0 is an acknowledgement.
fn acknowledgement(message: &Message) -> std::result::Result<(), Failure> {
    let request = match u32_at(&message.payload, 4) {
        Some(length) if message.flags & NLM_F_CAPPED == 0 => {
            usize::try_from(length).unwrap_or(usize::MAX)
        }
        _ => 16,
    };
    let tail = ERROR_AND_HEADER - 16 + request.min(1 << 20).next_multiple_of(4);
    outcome(message, tail)
}

/// `NLMSG_DONE` carries an errno as well.
fn done(message: &Message) -> std::result::Result<(), Failure> {
    if message.payload.len() < 4 {
        return Ok(());
    }
    outcome(message, 4)
}

fn outcome(message: &Message, tail: usize) -> std::result::Result<(), Failure> {
    let Some(code) = u32_at(&message.payload, 0) else {
        return Err(Failure::Garbled("an error without a number".to_owned()));
    };
    match code.cast_signed() {
        0 => Ok(()),
        code if message.flags & NLM_F_ACK_TLVS == 0 => Err(Failure::Refused(Cause::new(-code, ""))),
        code => {
            let texts = attributes(message.payload.get(tail..).unwrap_or_default());
            let said = texts
                .filter(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)
                .map(|(_, value)| text(value));
            Err(Failure::Refused(Cause::new(
                -code,
                said.collect::<Vec<_>>().join(", "),
            )))
        }
    }
}

#[cfg(test)]
mod tests;
