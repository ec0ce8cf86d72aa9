//! Avaya: traceSM of Session Manager, the monitor of IP Office, the logs of Experience Portal.

use midcall_proto::dialog::Way;

use super::super::scan::{Scan, endpoint, holds};
use super::super::stamp::{Day, Stamp, civil};
use super::{Format, Head, Path, Step, before, rule, transport};

/// traceSM: a line with `SIPMSGT`, a rule, the time, `ingress: { Llocal/Rremote/UDP/ }`, a rule; a rule behind the message.
#[derive(Default)]
pub(super) struct TraceSm {
    reading: bool,
    stamp: Option<Stamp>,
    head: Option<Head>,
}

impl Format for TraceSm {
    fn name(&self) -> &'static str {
        "Avaya traceSM"
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        let line = line.trim_ascii_end();
        if line.starts_with(b"com.avaya.asm") && line.ends_with(b"SIPMSGT") {
            *self = Self { reading: true, ..Self::default() };
            return Step::Begin;
        }
        let line_is_rule = rule(line, b'-', 20);
        if !self.reading {
            return if line_is_rule { Step::End } else { Step::Pass };
        }
        if line_is_rule {
            if let Some(head) = self.head.take() {
                self.reading = false;
                return Step::Head(head);
            }
        } else if let Some(head) = ingress(line, self.stamp) {
            self.head = Some(head);
        } else if let Some(stamp) = european(line) {
            self.stamp = Some(stamp);
        } else {
            self.reading = false;
            return Step::Pass;
        }
        Step::Part
    }
}

/// `30/10/2026 12:00:00.123 -->`: the day comes first.
fn european(line: &[u8]) -> Option<Stamp> {
    let mut scan = Scan::new(line);
    let day = scan.number()?;
    scan.eat(b"/")?;
    let month = scan.number()?;
    scan.eat(b"/")?;
    let year = scan.number()?;
    Some(Stamp::find(scan.rest())?.on(civil(year, month, day)?))
}

fn ingress(line: &[u8], stamp: Option<Stamp>) -> Option<Head> {
    let mut scan = Scan::new(line);
    let way = scan.either((b"ingress: { L", Way::Received), (b"egress: { L", Way::Sent))?;
    let local = endpoint(scan.until(b"/R")?)?;
    let remote = endpoint(scan.until(b"/")?)?;
    let transport = transport(scan.until(b"/")?);
    let (from, to) = if way == Way::Received { (remote, local) } else { (local, remote) };
    Some(Head { stamp, path: Path::Full { from, to }, transport, size: None })
}

/// IP Office: `2026-10-30T12:00:00 1234560123mS SIP Rx: UDP 192.0.2.10:5060 -> 198.51.100.20:5060`, where date and time
/// may be missing. The ticks are finer than the time and count from nowhere.
#[derive(Default)]
pub(super) struct IpOffice {
    anchor: Option<(Stamp, u64)>,
}

impl Format for IpOffice {
    fn name(&self) -> &'static str {
        "Avaya IP Office monitor"
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        let Some(at) = memchr::memmem::find(line, b"mS ") else { return Step::Pass };
        let text = before(line, at);
        let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (wall, tick) = text.split_at_checked(text.len() - digits).unwrap_or_default();
        let Some(tick) = super::super::scan::number(tick) else { return Step::Pass };
        match ip_office(line.get(at + 3..).unwrap_or_default()) {
            Some(head) => Step::Head(Head { stamp: Some(self.stamp(Stamp::find(wall), tick)), ..head }),
            None if open && digits >= 7 => Step::End,
            None => Step::Pass,
        }
    }
}

impl IpOffice {
    /// The wall clock of the first record, and how many ticks later this one is.
    fn stamp(&mut self, wall: Option<Stamp>, tick: u64) -> Stamp {
        let Some(wall) = wall else {
            return Stamp::new(Day::None, 0, 3).shifted(tick.saturating_mul(1_000));
        };
        if let Some((anchor, first)) = self.anchor
            && let Some(passed) = tick.checked_sub(first)
        {
            let stamp = anchor.later(passed.saturating_mul(1_000), 3);
            if stamp.day == wall.day && stamp.is_near(wall) {
                return stamp;
            }
        }
        self.anchor = Some((wall, tick));
        wall.later(0, 3)
    }
}

fn ip_office(text: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(text);
    scan.eat(b"SIP ")?;
    scan.either((b"Rx: ", ()), (b"Tx: ", ()))?;
    let transport = transport(scan.word()?);
    let from = endpoint(scan.word()?)?;
    scan.spaces();
    scan.eat(b"->")?;
    let to = endpoint(scan.word()?)?;
    Some(Head { path: Path::Full { from, to }, transport, ..Head::default() })
}

/// Experience Portal: `… cUAInterface::SendToNetwork: To 192.0.2.10:5060 <^INVITE …` and `… SIPTCP::ProcessRead: <`.
pub(super) struct Aep;

impl Format for Aep {
    fn name(&self) -> &'static str {
        "Avaya Experience Portal log"
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        if let Some(at) = memchr::memmem::find(line, b"::SendToNetwork: To ") {
            let mut scan = Scan::new(line.get(at..).unwrap_or_default());
            let remote = scan.until(b"To ").and_then(|_| scan.word()).and_then(endpoint);
            let path = remote.map_or(Path::Way(Way::Sent), |remote| Path::Remote { way: Way::Sent, remote });
            return inline(line, at, path);
        }
        match memchr::memmem::find(line, b"::ProcessRead: <") {
            Some(at) => inline(line, at, Path::Way(Way::Received)),
            None if holds(line, b"::SendToNetwork:") => Step::End,
            None => Step::Pass,
        }
    }
}

/// A head whose message begins behind `<`.
fn inline(line: &[u8], at: usize, path: Path) -> Step {
    let head = Head { stamp: Stamp::find(before(line, at)), path, ..Head::default() };
    let Some(bracket) = memchr::memchr(b'<', line.get(at..).unwrap_or_default()) else {
        return Step::Head(head);
    };
    let text = line.get(at + bracket + 1..).unwrap_or_default();
    let text = text.strip_prefix(b"^").unwrap_or(text);
    if text.is_empty() { Step::Head(head) } else { Step::Inline(head, line.len() - text.len()) }
}
