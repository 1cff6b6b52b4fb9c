//! Sockets that only listen: joining groups, waiting with a deadline.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::sys::Socket;

use crate::error::{Error, Result};

/// A non-blocking socket of `protocol` that has joined `groups`.
pub(super) fn open(protocol: isize, groups: &[u32]) -> Result<Socket> {
    let open = || {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(socket)
    };
    open().map_err(|error: io::Error| Error::kernel("listen on a netlink socket", error))
}

/// Waits until there is something to read, at most `within`.
pub(super) fn readable(socket: &Socket, within: Duration) -> Result<bool> {
    let start = Instant::now();
    loop {
        let left = within.saturating_sub(start.elapsed());
        // Rounded up, so that the last fraction of a millisecond is not a busy loop.
        let milliseconds = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        let mut wanted = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, timeout) {
            Ok(0) if within.saturating_sub(start.elapsed()).is_zero() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
}

/// The next datagram of the kernel; `WouldBlock` if there is none.
pub(super) fn receive(socket: &Socket) -> io::Result<Vec<u8>> {
    loop {
        match socket.recv_from_full() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            // Other processes may send to us, and must not be believed.
            Ok((_, sender)) if sender.port_number() != 0 => {}
            Ok((datagram, _)) => return Ok(datagram),
        }
    }
}

pub(super) fn failed(error: io::Error) -> Error {
    Error::kernel("wait for messages on a netlink socket", error)
}
