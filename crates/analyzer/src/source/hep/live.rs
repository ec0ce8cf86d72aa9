//! A collector: HEP packets as agents send them, over UDP or TCP.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midcall_proto::time::Instant;

use super::file::item;
use super::{HEADER, length};
use crate::source::{Item, ReadError, Source, Summary};

/// What ends live sources; clones end together.
#[derive(Clone, Default, Debug)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends them, within half a second.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they are to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket on which HEP packets arrive.
///
/// What arrives faster than it is taken waits in the socket, then gets lost as the network does it; nothing piles up here.
/// While nothing arrives it says so four times a second ([`Item::Quiet`]).
pub struct Live {
    intake: Intake,
    local: SocketAddr,
    stop: Stop,
    /// Whether it ended by itself.
    gone: Stop,
    last: Instant,
    refused: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
    summary: Summary,
}

enum Intake {
    Udp(UdpSocket, Box<[u8]>),
    Tcp(Receiver<Vec<u8>>),
}

impl Live {
    /// Listens for datagrams.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn udp(address: impl ToSocketAddrs, stop: Stop) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let local = socket.local_addr()?;
        let buffer = vec![0; 1 << 16].into_boxed_slice();
        Ok(Self::with(Intake::Udp(socket, buffer), local, stop, "HEP over UDP"))
    }

    /// Listens for connections, of which there may be 64 at a time.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn tcp(address: impl ToSocketAddrs, stop: Stop) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        // Waiting for a connection must not last longer than the source.
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let (packets, intake) = sync_channel(MOST_WAITING);
        let live = Self::with(Intake::Tcp(intake), local, stop, "HEP over TCP");
        let hub = Hub {
            packets,
            stop: live.stop.clone(),
            gone: live.gone.clone(),
            open: Arc::default(),
            refused: Arc::clone(&live.refused),
            broken: Arc::clone(&live.broken),
        };
        thread::Builder::new().name("hep".to_owned()).spawn(move || hub.accept(&listener))?;
        Ok(live)
    }

    fn with(intake: Intake, local: SocketAddr, stop: Stop, format: &str) -> Self {
        let summary = Summary { name: local.to_string(), format: format.to_owned(), ..Summary::default() };
        let (refused, broken) = (Arc::default(), Arc::default());
        let (gone, last) = (Stop::default(), Instant::ZERO);
        Self { intake, local, stop, gone, last, refused, broken, summary }
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn datagram(&mut self) -> io::Result<Option<Item>> {
        let (item, length) = match &mut self.intake {
            Intake::Udp(socket, buffer) => {
                let length = socket.recv(buffer)?;
                self.last = now();
                (item(buffer.get(..length).unwrap_or_default(), &mut self.last, &mut self.summary), length)
            }
            Intake::Tcp(intake) => match intake.recv_timeout(PATIENCE) {
                Ok(packet) => {
                    self.last = now();
                    (item(&packet, &mut self.last, &mut self.summary), packet.len())
                }
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::NotConnected.into()),
            },
        };
        self.summary.bytes += length as u64;
        Ok(item)
    }
}

impl Source for Live {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        let begun = std::time::Instant::now();
        while !self.stop.is_stopped() && !self.gone.is_stopped() {
            match self.datagram() {
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
                    // Nobody accepts connections any more.
                    io::ErrorKind::NotConnected => return None,
                    _ => {
                        self.gone.stop();
                        return Some(Err(error.into()));
                    }
                },
            }
            // What is no SIP breaks no silence.
            if begun.elapsed() >= PATIENCE {
                return Some(Ok(Item::Quiet(begun.elapsed())));
            }
        }
        None
    }

    fn summary(&self) -> Summary {
        let mut summary = self.summary.clone();
        for (count, reason) in
            [(&self.refused, "connections beyond 64"), (&self.broken, "connections that carry no HEP")]
        {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                summary.skip_many(reason, count);
            }
        }
        summary
    }

    fn is_live(&self) -> bool {
        true
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.gone.stop();
    }
}

/// What the threads of connections share.
#[derive(Clone)]
struct Hub {
    packets: SyncSender<Vec<u8>>,
    stop: Stop,
    gone: Stop,
    open: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
}

impl Hub {
    fn is_over(&self) -> bool {
        self.stop.is_stopped() || self.gone.is_stopped()
    }

    fn accept(&self, listener: &TcpListener) {
        while !self.is_over() {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(PAUSE);
                continue;
            };
            if self.open.fetch_add(1, Ordering::Relaxed) >= MOST_OPEN {
                self.open.fetch_sub(1, Ordering::Relaxed);
                self.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let hub = self.clone();
            let begun = thread::Builder::new().name("hep".to_owned()).spawn(move || {
                if hub.read(stream).is_none() {
                    hub.broken.fetch_add(1, Ordering::Relaxed);
                }
                hub.open.fetch_sub(1, Ordering::Relaxed);
            });
            if begun.is_err() {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Reads a connection to its end; `None` if something else than HEP comes.
    fn read(&self, mut stream: TcpStream) -> Option<()> {
        let ready = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        let (mut buffer, mut piece) = (Vec::new(), vec![0; 1 << 14]);
        while ready.is_ok() && !self.is_over() {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(more) => buffer.extend_from_slice(piece.get(..more).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                        continue;
                    }
                    _ => break,
                },
            }
            let mut taken = 0;
            while let Some(ahead) = buffer.get(taken..).filter(|ahead| ahead.len() >= HEADER) {
                let length = length(ahead)?;
                let Some(packet) = ahead.get(..length) else { break };
                if self.packets.send(packet.to_vec()).is_err() {
                    return Some(());
                }
                taken += length;
            }
            buffer.drain(..taken);
        }
        Some(())
    }
}

/// The time, for packets that do not carry any.
pub(in crate::source) fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::from_micros(u64::try_from(since.as_micros()).unwrap_or_default())
}

const PATIENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(50);
const MOST_WAITING: usize = 1024;
const MOST_OPEN: usize = 64;
