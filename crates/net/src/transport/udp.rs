//! Datagrams: one bound socket, and what the network says about those that could not be delivered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::stats::Counters;

/// A bound UDP socket.
#[derive(Debug)]
pub(crate) struct UdpPort {
    socket: Arc<UdpSocket>,
    /// Where the socket is bound.
    pub(crate) bound: SocketAddr,
    /// The address that peers are told.
    pub(crate) known_as: SocketAddr,
    /// Reads the error queue; it holds the socket too.
    errors: Option<AbortHandle>,
}

impl Drop for UdpPort {
    fn drop(&mut self) {
        if let Some(errors) = &self.errors {
            errors.abort();
        }
    }
}

impl UdpPort {
    /// Binds, and reports ICMP errors to `failed` from then on.
    pub(crate) async fn bind(address: SocketAddr, failed: mpsc::Sender<SocketAddr>) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(address).await?);
        // Until the runtime has seen it ready once, trying to send would find it busy.
        socket.writable().await?;
        let bound = socket.local_addr()?;
        let errors = icmp::watch(&socket, failed);
        Ok(Self { socket, bound, known_as: bound, errors })
    }

    /// The next datagram. An error that a past datagram of ours caused is not one of this socket.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<(usize, SocketAddr)> {
        loop {
            let mut read = ReadBuf::new(buffer);
            match std::task::ready!(self.socket.poll_recv_from(cx, &mut read)) {
                Ok(from) => return Poll::Ready((read.filled().len(), from)),
                Err(error) if harmless(&error) => {}
                Err(_) => {
                    // Let the other sockets have their turn before this one is tried again.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// A datagram that is there already.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.socket.try_recv_from(buffer).ok()
    }

    /// Sends a datagram now. A full socket buffer loses it, as the network would, and counts it.
    pub(crate) fn send(&self, bytes: &[u8], to: SocketAddr, counters: &Counters) -> io::Result<()> {
        let mut tries = SEND_TRIES;
        loop {
            tries -= 1;
            match self.socket.try_send_to(bytes, to) {
                Ok(_) => {
                    Counters::add(&counters.sent);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Counters::add(&counters.send_queue_full);
                    return Ok(());
                }
                // An ICMP error about an earlier datagram comes out of the next call, which then has sent nothing.
                Err(error) if harmless(&error) && tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn harmless(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted | NetworkUnreachable
    )
}

const SEND_TRIES: u8 = 3;

#[cfg(target_os = "linux")]
mod icmp {
    //! The error queue of a socket tells to whom the datagram went that came to nothing (ip(7), `IP_RECVERR`).

    use std::io::{self, IoSliceMut};
    use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
    use tokio::io::Interest;
    use tokio::net::UdpSocket;
    use tokio::sync::mpsc;
    use tokio::task::AbortHandle;

    pub(super) fn watch(socket: &Arc<UdpSocket>, failed: mpsc::Sender<SocketAddr>) -> Option<AbortHandle> {
        let asked = match socket.local_addr() {
            Ok(SocketAddr::V6(_)) => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
            _ => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        };
        asked.is_ok().then(|| tokio::spawn(read_errors(Arc::clone(socket), failed)).abort_handle())
    }

    async fn read_errors(socket: Arc<UdpSocket>, failed: mpsc::Sender<SocketAddr>) {
        loop {
            let read = tokio::select! {
                read = socket.async_io(Interest::ERROR, || next_error(&socket)) => read,
                () = failed.closed() => return,
            };
            match read {
                Ok(Some(remote)) => {
                    if failed.send(remote).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    /// The receiver of the datagram that an ICMP message was about; `None` for other errors.
    fn next_error(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
        let mut quoted = [0; 64];
        let mut data = [IoSliceMut::new(&mut quoted)];
        let mut control = vec![0; 512];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut data,
            Some(&mut control),
            MsgFlags::MSG_ERRQUEUE,
        )?;
        let from_icmp = message.cmsgs()?.any(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                matches!(error.ee_origin, ORIGIN_ICMP | ORIGIN_ICMP6)
            }
            _ => false,
        });
        let to = message.address.as_ref().and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
        });
        Ok(to.filter(|_| from_icmp))
    }

    const ORIGIN_ICMP: u8 = 2;
    const ORIGIN_ICMP6: u8 = 3;
}

#[cfg(not(target_os = "linux"))]
mod icmp {
    //! Elsewhere the timers of the transactions find out that nobody answers.

    use std::net::SocketAddr;
    use std::sync::Arc;

    use tokio::net::UdpSocket;
    use tokio::sync::mpsc;
    use tokio::task::AbortHandle;

    pub(super) fn watch(_: &Arc<UdpSocket>, _: mpsc::Sender<SocketAddr>) -> Option<AbortHandle> {
        None
    }
}
