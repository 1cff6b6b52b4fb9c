//! Lets clients in that name the socket's path as `:authority`.
//!
//! The kubelet's plugin watcher (pkg/kubelet/pluginmanager; seen with 1.36.2) and all kubelets before
//! 1.26 do so, raw or percent-encoded. It is no valid authority; h2 resets such a
//! stream (hyperium/h2#487) and has no switch for it. On a Unix socket nobody reads the authority,
//! so it is replaced by a valid one before h2 sees it. All else passes byte for byte.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

mod block;
mod frames;
mod huffman;

use frames::Frames;

/// An accepted connection, read through [`Frames`]; what is written is not touched.
#[derive(Debug)]
pub(super) struct LocalAuthority<T> {
    inner: T,
    frames: Frames,
    /// Bytes for the reader, and how many of them it has.
    ready: Vec<u8>,
    given: usize,
}

impl<T> LocalAuthority<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            frames: Frames::default(),
            ready: Vec::new(),
            given: 0,
        }
    }

    /// Hands over what is ready; whether there was any.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let left = &self.ready[self.given..];
        let count = left.len().min(buf.remaining());
        buf.put_slice(&left[..count]);
        self.given += count;
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        count > 0
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LocalAuthority<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // A full buffer reads nothing, which must not be taken for the end below.
        while buf.remaining() > 0 && !this.give(buf) {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let fresh = &buf.filled()[before..];
            if fresh.is_empty() {
                this.frames.finish(&mut this.ready);
                this.give(buf);
                break;
            }
            this.frames.feed(fresh, &mut this.ready);
            buf.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LocalAuthority<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T: Connected> Connected for LocalAuthority<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> T::ConnectInfo {
        self.inner.connect_info()
    }
}

#[cfg(test)]
mod tests;
