//! Writing one's own traffic as pcapng, so that Wireshark, tshark and `midcall analyze` can read it.
//!
//! Messages are put back into IP packets of link type RAW: datagrams as UDP, streams as TCP segments with running
//! sequence numbers. What went over TLS is written as the text inside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::UNIX_EPOCH;

use etherparse::{PacketBuilder, PacketBuilderStep};
use midcall_proto::flow::Transport;
use pcap_parser::pcapng::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SectionHeaderBlock,
};
use pcap_parser::{Linktype, ToVec};
use tokio::sync::oneshot;

use crate::tap::{Seen, Traffic, Way};

/// Writes pcapng blocks to anything that can be written to.
///
/// ```
/// use std::time::SystemTime;
/// use midcall::capture::CaptureWriter;
/// use midcall::tap::{Seen, Traffic, Way};
/// use midcall::Transport;
///
/// let mut writer = CaptureWriter::new(Vec::new())?;
/// writer.write(&Seen {
///     at: SystemTime::now(),
///     way: Way::Sent,
///     traffic: Traffic::Signalling(Transport::Udp),
///     from: "127.0.0.1:5060".parse().unwrap(),
///     to: "127.0.0.1:5070".parse().unwrap(),
///     bytes: "OPTIONS sip:bob@127.0.0.1:5070 SIP/2.0\r\n\r\n".into(),
/// })?;
/// assert!(writer.into_inner().len() > 40);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct CaptureWriter<W> {
    out: W,
    sequences: HashMap<(SocketAddr, SocketAddr), u32>,
}

impl<W: Write> CaptureWriter<W> {
    /// Writes the section header and the one interface.
    ///
    /// # Errors
    /// The sink fails.
    pub fn new(mut out: W) -> io::Result<Self> {
        let application = concat!("midcall ", env!("CARGO_PKG_VERSION"));
        let mut section = SectionHeaderBlock {
            block_type: 0,
            block_len1: 0,
            bom: 0,
            major_version: 1,
            minor_version: 0,
            section_len: -1,
            options: vec![option(OptionCode::ShbUserAppl, application.as_bytes())],
            block_len2: 0,
        };
        let mut interface = InterfaceDescriptionBlock {
            block_type: 0,
            block_len1: 0,
            linktype: Linktype::RAW,
            reserved: 0,
            snaplen: 0,
            options: Vec::new(),
            block_len2: 0,
            if_tsresol: MICROSECONDS,
            if_tsoffset: 0,
        };
        out.write_all(&section.to_vec().map_err(to_io)?)?;
        out.write_all(&interface.to_vec().map_err(to_io)?)?;
        Ok(Self { out, sequences: HashMap::new() })
    }

    /// Writes one message or packet.
    ///
    /// # Errors
    /// The sink fails, or the message is too long for IP.
    pub fn write(&mut self, seen: &Seen) -> io::Result<()> {
        let (from, to) = same_family(seen.from, seen.to);
        if matches!(seen.traffic, Traffic::Media | Traffic::Signalling(Transport::Udp)) {
            let mut packet = Vec::with_capacity(seen.bytes.len() + 64);
            ip(from.ip(), to.ip())
                .udp(from.port(), to.port())
                .write(&mut packet, &seen.bytes)
                .map_err(to_io)?;
            return self.block(seen, &packet);
        }
        for segment in seen.bytes.chunks(SEGMENT) {
            let acknowledged = self.sequences.get(&(to, from)).copied().unwrap_or(FIRST);
            let sequence = self.sequences.entry((from, to)).or_insert(FIRST);
            let mut packet = Vec::with_capacity(segment.len() + 64);
            ip(from.ip(), to.ip())
                .tcp(from.port(), to.port(), *sequence, u16::MAX)
                .ack(acknowledged)
                .psh()
                .write(&mut packet, segment)
                .map_err(to_io)?;
            *sequence = sequence.wrapping_add(u32::try_from(segment.len()).unwrap_or_default());
            self.block(seen, &packet)?;
        }
        Ok(())
    }

    /// Passes everything on to the operating system.
    ///
    /// # Errors
    /// The sink fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives the sink back.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn block(&mut self, seen: &Seen, packet: &[u8]) -> io::Result<()> {
        let micros = seen.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        let length = u32::try_from(packet.len()).map_err(to_io)?;
        let direction = match seen.way {
            Way::Received => 1_u32,
            Way::Sent => 2,
        }
        .to_le_bytes();
        let mut block = EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: 0,
            ts_high: (micros >> 32) as u32,
            ts_low: micros as u32,
            caplen: length,
            origlen: length,
            data: packet,
            options: vec![option(EPB_FLAGS, &direction)],
            block_len2: 0,
        };
        self.out.write_all(&block.to_vec().map_err(to_io)?)
    }
}

/// A capture file written by a thread of its own: handing it a message never waits for the disk.
#[derive(Clone, Debug)]
pub struct Capture {
    queue: mpsc::SyncSender<Job>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Write(Seen),
    Flush(oneshot::Sender<io::Result<()>>),
}

impl Capture {
    /// Creates the file, replacing one that is there.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut writer = CaptureWriter::new(BufWriter::new(File::create(path)?))?;
        writer.flush()?;
        let (queue, jobs) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("midcall-capture".to_owned())
            .spawn(move || work(&mut writer, &jobs, &lost))?;
        Ok(Self { queue, dropped })
    }

    /// Queues one message; if the disk is too slow it is dropped and counted.
    pub fn write(&self, seen: Seen) {
        if self.queue.try_send(Job::Write(seen)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything queued so far is in the file.
    ///
    /// # Errors
    /// The last write failed, or the writer is gone.
    pub async fn flush(&self) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        let queue = self.queue.clone();
        let queued =
            tokio::task::spawn_blocking(move || queue.send(Job::Flush(done)).is_ok()).await.unwrap_or(false);
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the capture writer stopped");
        if !queued {
            return Err(gone());
        }
        wait.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How many messages are missing from the file: the queue was full, or writing failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn work(writer: &mut CaptureWriter<BufWriter<File>>, jobs: &mpsc::Receiver<Job>, lost: &AtomicU64) {
    let mut next = jobs.recv().ok();
    while let Some(job) = next {
        match job {
            Job::Write(seen) => {
                if writer.write(&seen).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Job::Flush(done) => {
                // An error only says that nobody waits any more.
                let _ = done.send(writer.flush());
            }
        }
        next = jobs.try_recv().ok().or_else(|| {
            // Nothing waits: a reader of the file should see what there is. A failure shows at the next explicit flush.
            let _ = writer.flush();
            jobs.recv().ok()
        });
    }
    // Every handle is gone, and with them whoever could be told of an error.
    let _ = writer.flush();
}

fn ip(from: IpAddr, to: IpAddr) -> PacketBuilderStep<etherparse::IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(v6(from).octets(), v6(to).octets(), HOPS),
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// A socket on `[::]` sees IPv4 peers as mapped addresses: write them as what they are.
fn same_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    (plain(from), plain(to))
}

fn option(code: OptionCode, value: &[u8]) -> PcapNGOption<'_> {
    PcapNGOption { code, len: u16::try_from(value.len()).unwrap_or(u16::MAX), value: value.into() }
}

fn to_io(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

const MICROSECONDS: u8 = 6;
const EPB_FLAGS: OptionCode = OptionCode(2);
const SEGMENT: usize = 1_400;
const FIRST: u32 = 1;
const HOPS: u8 = 64;
const QUEUE: usize = 8_192;

#[cfg(test)]
mod tests;
