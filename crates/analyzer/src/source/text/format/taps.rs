//! What taps and proxies write: sngrep, ngrep, sipgrep, HOMER, the sipdump of Kamailio, the tracer of OpenSIPS.

use std::net::SocketAddr;

use midcall_proto::flow::Transport;

use super::super::run_on::is_run_on;
use super::super::scan::{Scan, endpoint, host_of, number};
use super::super::stamp::Stamp;
use super::{Format, Head, Path, Step, rule, transport};

/// `2026/10/30 12:00:00.123456 192.0.2.10:5060 -> 198.51.100.20:5060`
pub(super) fn sngrep(line: &[u8]) -> Option<Head> {
    line.first().filter(|first| first.is_ascii_digit())?;
    let mut scan = Scan::new(line);
    let (date, time) = (scan.word()?, scan.word()?);
    let stamp = Stamp::find(line.get(..date.len() + 1 + time.len())?)?;
    let from = scan.word()?;
    scan.eat(b" -> ")?;
    let path = path(from, scan.rest())?;
    Some(Head { stamp: Some(stamp), path, ..Head::default() })
}

/// `U 2026/10/30 12:00:00.123456 192.0.2.10:5060 -> 198.51.100.20:5060 #1`, where time and all behind it may be missing, or
/// the message stands.
pub(super) struct Ngrep;

impl Format for Ngrep {
    fn name(&self) -> &'static str {
        "ngrep or sipgrep text"
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        let mut scan = Scan::new(line);
        let Some(head) = ngrep(&mut scan) else { return Step::Pass };
        let rest = scan.rest().trim_ascii_start();
        if is_run_on(rest) { Step::Inline(head, line.len() - rest.len()) } else { Step::Head(head) }
    }

    fn wraps(&self) -> bool {
        true
    }
}

fn ngrep(scan: &mut Scan<'_>) -> Option<Head> {
    let transport = scan.either((b"U ", Transport::Udp), (b"T ", Transport::Tcp))?;
    let before = scan.until(b" -> ")?;
    let at = memchr::memrchr(b' ', before).map_or(0, |at| at + 1);
    let stamp = Stamp::find(before.get(..at)?);
    let path = path(before.get(at..)?, scan.word()?)?;
    Some(Head { stamp, path, transport: Some(transport), size: None })
}

/// `proto:UDP 2026-10-30T12:00:00.123Z  192.0.2.10:5060 ---> 198.51.100.20:5060`
pub(super) fn homer(line: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(line);
    scan.eat(b"proto:")?;
    let transport = transport(scan.word()?);
    let stamp = Stamp::find(scan.word()?);
    let from = scan.word()?;
    scan.spaces();
    scan.eat(b"--->")?;
    Some(Head { stamp, path: path(from, scan.word()?)?, transport, size: None })
}

/// `in udp 2026-10-30 12:00:00 192.0.2.10:5060 -> 198.51.100.20:5060`
pub(super) fn opensips(line: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(line);
    scan.either((b"in ", ()), (b"out ", ()))?;
    let transport = transport(scan.word()?)?;
    let before = scan.until(b" -> ")?;
    let at = memchr::memrchr(b' ', before)?;
    let stamp = Stamp::find(before.get(..at)?)?;
    let path = path(before.get(at + 1..)?, scan.word()?)?;
    Some(Head { stamp: Some(stamp), path, transport: Some(transport), size: None })
}

fn path(from: &[u8], to: &[u8]) -> Option<Path> {
    Some(Path::Full { from: endpoint(from)?, to: endpoint(to.trim_ascii_end())? })
}

/// Kamailio's sipdump: a head of named lines between rules of `=` and `~`, a rule of `|` behind the message.
#[derive(Default)]
pub(super) struct SipDump {
    reading: bool,
    head: Head,
    hosts: [Option<std::net::IpAddr>; 2],
    ports: [u16; 2],
}

impl SipDump {
    fn field(&mut self, line: &[u8]) -> Option<()> {
        let mut scan = Scan::new(line);
        let name = scan.until(b": ")?;
        let port = |value: &[u8]| number(value).and_then(|port| u16::try_from(port).ok());
        match name {
            b"time" => self.head.stamp = Stamp::epoch(scan.word()?),
            b"proto" => self.head.transport = transport(scan.word()?),
            b"srcip" => self.hosts[0] = host_of(scan.word()?),
            b"dstip" => self.hosts[1] = host_of(scan.word()?),
            b"srcport" => self.ports[0] = port(scan.word()?)?,
            b"dstport" => self.ports[1] = port(scan.word()?)?,
            _ => {}
        }
        Some(())
    }
}

impl Format for SipDump {
    fn name(&self) -> &'static str {
        "Kamailio sipdump"
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        if rule(line, b'=', 20) {
            *self = Self { reading: true, ..Self::default() };
            return Step::Begin;
        }
        if self.reading {
            if !rule(line, b'~', 20) {
                self.reading = self.field(line).is_some();
                return if self.reading { Step::Part } else { Step::Pass };
            }
            self.reading = false;
            if let [Some(from), Some(to)] = self.hosts {
                let [from_port, to_port] = self.ports;
                let (from, to) = (SocketAddr::new(from, from_port), SocketAddr::new(to, to_port));
                self.head.path = Path::Full { from, to };
            }
            return Step::Head(self.head);
        }
        match line.strip_suffix(&[b'|'; 20]) {
            Some([]) => Step::End,
            Some(last) if open => Step::Last(last.len()),
            _ => Step::Pass,
        }
    }
}
