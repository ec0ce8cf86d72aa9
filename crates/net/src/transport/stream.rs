//! Connections: bytes framed into messages one way, a bounded queue the other way, keep-alives in between.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use midcall_proto::flow::Transport;
use midcall_wire::{Frame, Framer, Limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time;

use super::stats::Counters;
use crate::tap::{Tap, Way};

/// What connections and listeners tell the driver.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// A peer connected to the listener with this index.
    Accepted { listener: usize, stream: TcpStream, remote: SocketAddr },
    /// Our connection attempt succeeded.
    Connected { connection: u64, local: SocketAddr },
    /// A whole message came.
    Message { connection: u64, bytes: Vec<u8> },
    /// The connection is closed, or never came to be.
    Gone { connection: u64, connected: bool },
}

/// One connection's task: its number, where to report, and its queue of what to send.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: u64,
    pub(crate) events: mpsc::Sender<StreamEvent>,
    pub(crate) queue: mpsc::Receiver<Bytes>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tap: Tap,
    pub(crate) transport: Transport,
    /// How often an idle connection of ours is pinged (RFC 5626 §4.4.1).
    pub(crate) ping: Option<Duration>,
}

impl Link {
    /// Connects and then runs until either side closes.
    pub(crate) async fn connect(self, from: Option<SocketAddr>, remote: SocketAddr) {
        match time::timeout(CONNECT, open(from, remote)).await {
            Ok(Ok(stream)) => {
                Counters::add(&self.counters.connected);
                let local = stream.local_addr().unwrap_or(remote);
                let connection = self.connection;
                if self.events.send(StreamEvent::Connected { connection, local }).await.is_ok() {
                    self.run(stream, local, remote).await;
                }
            }
            Ok(Err(_)) | Err(_) => gone(self.connection, &self.events, false).await,
        }
    }

    /// Runs until either side closes.
    pub(crate) async fn run(
        self,
        stream: impl AsyncRead + AsyncWrite,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let (read, write) = tokio::io::split(stream);
        let (pong, pongs) = mpsc::channel(PONGS);
        let Self { connection, events, queue, counters, tap, transport, ping } = self;
        let ends = Ends { transport, local, remote, tap, counters };
        let reader = Reader { connection, events: events.clone(), ends: &ends, pong };
        tokio::select! {
            () = reader.run(read) => {}
            _ = write_all(write, queue, pongs, ping, &ends) => {}
        }
        Counters::add(&ends.counters.closed);
        gone(connection, &events, true).await;
    }
}

async fn gone(connection: u64, events: &mpsc::Sender<StreamEvent>, connected: bool) {
    // Without a driver nobody needs to know.
    let _ = events.send(StreamEvent::Gone { connection, connected }).await;
}

/// Accepts until the driver is gone.
pub(crate) async fn listen(listener: TcpListener, index: usize, events: mpsc::Sender<StreamEvent>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = events.closed() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                if events.send(StreamEvent::Accepted { listener: index, stream, remote }).await.is_err() {
                    return;
                }
            }
            // Out of file descriptors, most likely: give the others time to close.
            Err(_) => time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

async fn open(from: Option<SocketAddr>, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from.ip(), 0))?;
    }
    let stream = socket.connect(remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The two ends of a connection, and who is told what passes between them.
struct Ends {
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    tap: Tap,
    counters: Arc<Counters>,
}

impl Ends {
    fn passed(&self, way: Way, bytes: &[u8]) {
        let counter = match way {
            Way::Sent => &self.counters.sent,
            Way::Received => &self.counters.received,
        };
        Counters::add(counter);
        self.tap.signalling(way, self.transport, self.local, self.remote, bytes);
    }
}

struct Reader<'a> {
    connection: u64,
    events: mpsc::Sender<StreamEvent>,
    ends: &'a Ends,
    pong: mpsc::Sender<()>,
}

impl Reader<'_> {
    async fn run(self, mut read: impl AsyncRead + Unpin) {
        let mut framer = Framer::new(Limits::default());
        let mut buffer = vec![0; READ];
        let mut patience = FIRST_MESSAGE;
        loop {
            let Ok(Ok(length @ 1..)) = time::timeout(patience, read.read(&mut buffer)).await else { return };
            framer.push(buffer.get(..length).unwrap_or_default());
            for frame in framer.by_ref() {
                match frame {
                    Ok(Frame::Message(bytes)) => {
                        patience = IDLE;
                        self.ends.passed(Way::Received, &bytes);
                        let message = StreamEvent::Message { connection: self.connection, bytes };
                        if self.events.send(message).await.is_err() {
                            return;
                        }
                    }
                    Ok(Frame::Ping) => {
                        patience = IDLE;
                        Counters::add(&self.ends.counters.pings);
                        // A peer that pings faster than we can write gets fewer pongs.
                        let _ = self.pong.try_send(());
                    }
                    Ok(Frame::Pong) => {}
                    Err(_) => Counters::add(&self.ends.counters.broken_frames),
                }
            }
            if framer.is_broken() {
                // Past this point nobody knows where a message begins.
                return;
            }
        }
    }
}

/// Writes until the queue is closed and empty, or the peer is gone.
async fn write_all(
    mut write: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    ping: Option<Duration>,
    ends: &Ends,
) -> io::Result<()> {
    loop {
        let idle = time::sleep(ping.unwrap_or(IDLE));
        tokio::select! {
            message = queue.recv() => match message {
                Some(bytes) => {
                    ends.passed(Way::Sent, &bytes);
                    write.write_all(&bytes).await?;
                }
                None => return write.shutdown().await,
            },
            Some(()) = pongs.recv() => write.write_all(b"\r\n").await?,
            () = idle, if ping.is_some() => write.write_all(b"\r\n\r\n").await?,
        }
        write.flush().await?;
    }
}

const CONNECT: Duration = Duration::from_secs(16);
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Whoever connects and says nothing holds a connection no longer than this.
const FIRST_MESSAGE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(3_600);
const READ: usize = 16 * 1024;
const PONGS: usize = 4;
