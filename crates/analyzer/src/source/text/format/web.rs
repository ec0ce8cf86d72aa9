//! Consoles of browser phones, and the logs of Lync and Skype for Business.

use midcall_proto::dialog::Way;

use super::super::scan::{Scan, endpoint, holds};
use super::super::stamp::{Stamp, civil};
use super::{Format, Head, Path, Step};

/// JsSIP: `JsSIP:Transport received text message:`, and behind the message how long after the line before it came.
#[derive(Default)]
pub(super) struct JsSip {
    now: u64,
    behind: bool,
}

impl Format for JsSip {
    fn name(&self) -> &'static str {
        "JsSIP console"
    }

    fn late(&self) -> bool {
        true
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        if self.behind
            && let Some((passed, digits)) = elapsed(line)
        {
            self.behind = false;
            self.now = self.now.saturating_add(passed);
            return Step::Time(Stamp::new(super::super::stamp::Day::None, 0, digits).later(self.now, digits));
        }
        let mut scan = Scan::new(line);
        let Some(begin) = scan.until(b"JsSIP:Transport ") else { return Step::Pass };
        self.behind = true;
        let text = scan.rest();
        let way = if text.starts_with(b"received ") { Way::Received } else { Way::Sent };
        if matches!(text, b"received text message:" | b"received binary message:" | b"sending message:") {
            return Step::Head(Head { stamp: Stamp::find(begin), path: Path::Way(way), ..Head::default() });
        }
        // Every line of this part of JsSIP counts from the one before.
        if let Some((passed, _)) = text.rsplit(|byte| *byte == b' ').next().and_then(elapsed) {
            self.now = self.now.saturating_add(passed);
            self.behind = false;
        }
        Step::End
    }
}

/// `+123ms`, `+2s`, `+1m`: microseconds, and how many digits behind the second that tells.
fn elapsed(text: &[u8]) -> Option<(u64, u8)> {
    let mut scan = Scan::new(text.trim_ascii());
    scan.eat(b"+")?;
    let count = scan.number()?;
    let (unit, digits) = match scan.rest() {
        b"ms" => (1_000, 3),
        b"s" => (1_000_000, 0),
        b"m" => (60_000_000, 0),
        b"h" => (3_600_000_000, 0),
        _ => return None,
    };
    Some((count.checked_mul(unit)?, digits))
}

/// SIP.js: `Fri Oct 30 2026 12:00:00 GMT+0000 (…) | sip.Transport | Received WebSocket text message:`
pub(super) fn sip_js(line: &[u8]) -> Option<Head> {
    line.strip_suffix(b" message:")?;
    let mut scan = Scan::new(line);
    let begin = scan.until(b"sip.Transport | ")?;
    let way = scan.either((b"Received WebSocket ", Way::Received), (b"Sending WebSocket ", Way::Sent))?;
    Some(Head { stamp: Stamp::find(begin), path: Path::Way(way), ..Head::default() })
}

/// Lync: blocks from `$$begin_record` to `$$end_record`, whose first lines are about the message.
#[derive(Default)]
pub(super) struct Lync {
    reading: bool,
    stamp: Option<Stamp>,
    way: Option<Way>,
    remote: Option<std::net::SocketAddr>,
}

impl Format for Lync {
    fn name(&self) -> &'static str {
        "Lync or Skype for Business trace"
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        if line.ends_with(b"$$begin_record") {
            *self = Self { reading: true, stamp: lync_stamp(line), ..Self::default() };
            return Step::Begin;
        }
        if line == b"$$end_record" {
            return Step::End;
        }
        let mut scan = Scan::new(line);
        if open {
            let Some(()) = scan.eat(b"Message-Body: ") else { return Step::Pass };
            return if scan.rest().starts_with(b"----****MESSAGE BODY DELETED") {
                Step::Cut
            } else {
                Step::Body(b"Message-Body: ".len())
            };
        }
        if !self.reading {
            return Step::Pass;
        }
        if scan.eat(b"Direction: ").is_some() {
            self.way = scan.either((b"incoming", Way::Received), (b"outgoing", Way::Sent));
        } else if scan.eat(b"Peer: ").is_some() {
            self.remote = scan.word().and_then(endpoint);
        } else if scan.eat(b"Start-Line: ").is_some() {
            self.reading = false;
            let path = match (self.way, self.remote) {
                (Some(way), Some(remote)) => Path::Remote { way, remote },
                (Some(way), None) => Path::Way(way),
                _ => Path::Unknown,
            };
            let head = Head { stamp: self.stamp, path, ..Head::default() };
            return Step::Inline(head, b"Start-Line: ".len());
        }
        Step::Part
    }
}

/// `…::10/30/2026-12:00:00.123.00001234 (…`: the month comes first.
fn lync_stamp(line: &[u8]) -> Option<Stamp> {
    let mut scan = Scan::new(line);
    scan.until(b"::")?;
    american(scan, b"-")
}

/// `10/30/2026`, what follows it, and a time.
fn american(mut scan: Scan<'_>, between: &[u8]) -> Option<Stamp> {
    let month = scan.number()?;
    scan.eat(b"/")?;
    let day = scan.number()?;
    scan.eat(b"/")?;
    let year = scan.number()?;
    scan.eat(between)?;
    let time = scan.rest();
    Some(Stamp::find(time.get(..time.len().min(16))?)?.on(civil(year, month, day)?))
}

/// `10/30/2026|12:00:00.123 9F8:A70 INFO  :: Data Received - 192.0.2.10:5061 (To Local Address: 198.51.100.20:49152) 561
/// bytes:`, and `Sending Packet - … (From Local Address: …`.
pub(super) fn uccapi(line: &[u8]) -> Option<Head> {
    if !line.ends_with(b" bytes:") || !holds(line, b" Local Address: ") || holds(line, b" End of ") {
        return None;
    }
    let stamp = american(Scan::new(line), b"|");
    let mut scan = Scan::new(line);
    scan.until(b":: ")?;
    let way = scan.either((b"Data Received - ", Way::Received), (b"Sending Packet - ", Way::Sent))?;
    let remote = endpoint(scan.word()?)?;
    scan.until(b" Local Address: ")?;
    let local = endpoint(scan.until(b")")?)?;
    scan.spaces();
    let size = scan.number().and_then(|size| usize::try_from(size).ok());
    let (from, to) = if way == Way::Received { (remote, local) } else { (local, remote) };
    Some(Head { stamp, path: Path::Full { from, to }, transport: None, size })
}
