//! Finds the header blocks in what an HTTP/2 client sends (RFC 9113 §3.4, §4.1, §6.2).

use super::block;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Largest payload a client may send to a server that did not raise the limit (§6.5.2), as ours
/// does not. So much is held back at most.
const MAX_PAYLOAD: usize = 16_384;

/// Passes the client's bytes on, with authorities replaced in header blocks that lie in one frame.
#[derive(Debug)]
pub(super) struct Frames {
    next: Next,
    /// Begin of a frame that is not passed on yet.
    held: Vec<u8>,
}

#[derive(Debug)]
enum Next {
    /// The preface, of which so many bytes were seen.
    Preface(usize),
    Head,
    /// So many bytes of a frame of no interest.
    Payload(usize),
    /// A frame of this size in all, to be rewritten.
    Block(usize),
    /// Not HTTP/2.
    Opaque,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            next: Next::Preface(0),
            held: Vec::new(),
        }
    }
}

impl Frames {
    /// Takes the client's next bytes; appends to `out` what can be passed on.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let limit = match self.next {
                Next::Preface(seen) => PREFACE.len() - seen,
                Next::Head => HEAD - self.held.len(),
                Next::Payload(left) => left,
                Next::Block(size) => size - self.held.len(),
                Next::Opaque => bytes.len(),
            };
            let (part, rest) = bytes.split_at(limit.min(bytes.len()));
            bytes = rest;
            match self.next {
                Next::Head | Next::Block(_) => self.held.extend(part),
                Next::Preface(_) | Next::Payload(_) | Next::Opaque => out.extend(part),
            }
            self.advance(part, out);
        }
    }

    /// The client sends no more: appends what was held back.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.next = Next::Opaque;
    }

    fn advance(&mut self, part: &[u8], out: &mut Vec<u8>) {
        let held = self.held.len();
        self.next = match self.next {
            Next::Preface(seen) if !PREFACE[seen..].starts_with(part) => Next::Opaque,
            Next::Preface(seen) if seen + part.len() < PREFACE.len() => {
                Next::Preface(seen + part.len())
            }
            Next::Payload(left) if part.len() < left => Next::Payload(left - part.len()),
            Next::Block(size) if held < size => Next::Block(size),
            Next::Block(_) => {
                let frame = std::mem::take(&mut self.held);
                out.extend(rewrite(&frame).unwrap_or(frame));
                Next::Head
            }
            Next::Head if held == HEAD => self.begin(out),
            Next::Preface(_) | Next::Payload(_) | Next::Head => Next::Head,
            Next::Opaque => Next::Opaque,
        };
    }

    /// What follows the head that is held.
    fn begin(&mut self, out: &mut Vec<u8>) -> Next {
        let (length, kind, flags) = (length(&self.held), self.held[3], self.held[4]);
        let is_block = kind == HEADERS && flags & END_HEADERS != 0;
        if is_block && (1..=MAX_PAYLOAD).contains(&length) {
            return Next::Block(HEAD + length);
        }
        out.append(&mut self.held);
        if length == 0 {
            Next::Head
        } else {
            Next::Payload(length)
        }
    }
}

/// Length of the payload.
fn length(head: &[u8]) -> usize {
    head[..3]
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// A HEADERS frame with its block rewritten; nothing when it stays as it is.
fn rewrite(frame: &[u8]) -> Option<Vec<u8>> {
    let (head, payload) = frame.split_at_checked(HEAD)?;
    let flags = head[4];
    let (mut before, mut after) = (0, 0);
    if flags & PADDED != 0 {
        before += 1;
        after = usize::from(*payload.first()?);
    }
    if flags & PRIORITY != 0 {
        before += 5;
    }
    let end = payload.len().checked_sub(after)?;
    let block = block::rewrite(payload.get(before..end)?)?;
    let length = before + block.len() + after;
    if length > MAX_PAYLOAD {
        return None;
    }
    let mut out = u32::try_from(length).ok()?.to_be_bytes()[1..].to_vec();
    out.extend(&head[3..]);
    out.extend(&payload[..before]);
    out.extend(block);
    out.extend(&payload[end..]);
    Some(out)
}

#[cfg(test)]
pub(super) mod tests;
