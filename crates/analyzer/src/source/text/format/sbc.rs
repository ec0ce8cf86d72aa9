//! Session border controllers: AudioCodes, Oracle (Acme Packet), Ribbon (Sonus).

use std::net::SocketAddr;

use midcall_proto::dialog::Way;

use super::super::scan::{Scan, endpoint, host_of, number};
use super::super::stamp::{Stamp, civil, yearless};
use super::{Format, Head, Path, Step, before, transport};

/// AudioCodes: syslog records `[S=number] [SID=session] …`; a long message goes on in the next record of its session.
#[derive(Default)]
pub(super) struct AudioCodes {
    /// Session and number of the record that a message came in last.
    open: Option<(Vec<u8>, u64)>,
}

impl Format for AudioCodes {
    fn name(&self) -> &'static str {
        "AudioCodes syslog"
    }

    fn late(&self) -> bool {
        true
    }

    fn pads(&self) -> bool {
        true
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        let line = line.trim_ascii_end();
        if let Some(stamp) = device_time(line) {
            return Step::Time(stamp);
        }
        let Some(at) = memchr::memmem::find(line, b"[S=") else { return Step::Pass };
        let mut scan = Scan::new(line.get(at..).unwrap_or_default());
        let Some((sequence, session)) = record(&mut scan) else { return Step::Pass };
        if let Some(mut head) = audio_codes(scan) {
            head.stamp = Stamp::find(before(line, at));
            self.open = Some((session.to_vec(), sequence));
            return Step::Head(head);
        }
        if let Some((known, last)) = &mut self.open
            && open
            && known == session
            && sequence == last.wrapping_add(1)
        {
            *last = sequence;
            scan.spaces();
            return Step::Text(line.len() - scan.rest().len());
        }
        Step::Part
    }
}

/// `[S=8800] [SID=2ed1c8:96:5]`
fn record<'l>(scan: &mut Scan<'l>) -> Option<(u64, &'l [u8])> {
    scan.eat(b"[S=")?;
    let sequence = scan.number()?;
    scan.eat(b"]")?;
    scan.spaces();
    scan.eat(b"[SID=")?;
    Some((sequence, scan.until(b"]")?))
}

/// `(N 7001) ---- Incoming SIP Message from 192.0.2.10:5060 to SIPInterface #0 (LAN) UDP TO(#12) SocketID(3) ----`
fn audio_codes(mut scan: Scan<'_>) -> Option<Head> {
    scan.until(b"---- ")?;
    let way = scan
        .either((b"Incoming SIP Message from ", Way::Received), (b"Outgoing SIP Message to ", Way::Sent))?;
    let remote = endpoint(scan.word()?)?;
    scan.until(b"SIPInterface #")?;
    scan.until(b") ")?;
    let transport = transport(scan.word()?);
    Some(Head { path: Path::Remote { way, remote }, transport, ..Head::default() })
}

/// `[Time:30-10@12:00:00.123]`, the day before the month.
fn device_time(line: &[u8]) -> Option<Stamp> {
    let text = line.strip_suffix(b"]")?;
    let mut scan = Scan::new(text.get(memchr::memmem::rfind(text, b"[Time:")?..)?);
    scan.eat(b"[Time:")?;
    let day = scan.number()?;
    scan.eat(b"-")?;
    let month = scan.number()?;
    scan.eat(b"@")?;
    Some(Stamp::find(scan.rest())?.on(yearless(month, day)?))
}

/// `Oct 30 12:00:00.123 On [0:0]198.51.100.20:5060 received from 192.0.2.10:5060`
pub(super) fn oracle(line: &[u8]) -> Option<Head> {
    line.first().filter(|first| first.is_ascii_uppercase())?;
    let mut scan = Scan::new(line);
    let stamp = Stamp::find(scan.until(b" On ")?)?;
    let local = scan.word()?;
    // Slot and port of the interface.
    let local = match local.iter().position(|byte| *byte == b']') {
        Some(at) if local.starts_with(b"[") && local.get(at + 1).is_some_and(|byte| *byte != b':') => {
            local.get(at + 1..)?
        }
        _ => local,
    };
    let local = endpoint(local)?;
    scan.spaces();
    let way = scan.either((b"received from ", Way::Received), (b"sent to ", Way::Sent))?;
    let remote = endpoint(scan.word()?)?;
    let (from, to) = if way == Way::Received { (remote, local) } else { (local, remote) };
    Some(Head { stamp: Some(stamp), path: Path::Full { from, to }, ..Head::default() })
}

/// Ribbon: `561 10302026 120000.123456:1.01.00.38900.MAJOR .SIPSG:… Ingress: received msg for CallId:… from
/// IP/port:192.0.2.10/5060, Local IP/port:198.51.100.20/5060`, `RAW PDU:`, the message; a long one goes on behind another
/// line with the same time and number.
#[derive(Default)]
pub(super) struct Ribbon {
    open: Vec<u8>,
}

impl Format for Ribbon {
    fn name(&self) -> &'static str {
        "Ribbon SBC trace"
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        if line == b"RAW PDU:" {
            return Step::Part;
        }
        let Some((stamp, serial)) = ribbon_record(line) else { return Step::Pass };
        if let Some(head) = ribbon(line, stamp) {
            self.open = serial.to_vec();
            return Step::Head(head);
        }
        if open && self.open == serial { Step::Text(line.len()) } else { Step::End }
    }
}

/// The time of a record, and time and number as they stand.
fn ribbon_record(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let mut scan = Scan::new(line);
    scan.number()?;
    scan.eat(b" ")?;
    let begin = scan.rest();
    let date = scan.word()?;
    scan.eat(b" ")?;
    let time = scan.until(b":")?;
    let (month, day, year) = (date.get(..2)?, date.get(2..4)?, date.get(4..8)?);
    let day = civil(number(year)?, number(month)?, number(day)?)?;
    let (hour, minute, second) = (number(time.get(..2)?)?, number(time.get(2..4)?)?, time.get(4..)?);
    let seconds = Stamp::epoch(second)?;
    let stamp = seconds.on(day).shifted((hour * 60 + minute) * 60_000_000);
    let serial = begin.len() - scan.rest().len();
    let more = scan.rest().iter().position(u8::is_ascii_uppercase).unwrap_or_default();
    Some((stamp, begin.get(..serial + more)?))
}

fn ribbon(line: &[u8], stamp: Stamp) -> Option<Head> {
    let mut scan = Scan::new(line);
    scan.until(b"gress: ")?;
    let way = scan.either((b"received ", Way::Received), (b"sen", Way::Sent))?;
    let address = |scan: &mut Scan<'_>| -> Option<SocketAddr> {
        scan.until(b"IP/port:")?;
        let text = scan.word()?;
        let mut parts = Scan::new(text);
        let host = host_of(parts.until(b"/")?)?;
        Some((host, u16::try_from(parts.number()?).ok()?).into())
    };
    let (remote, local) = (address(&mut scan)?, address(&mut scan)?);
    let (from, to) = if way == Way::Received { (remote, local) } else { (local, remote) };
    Some(Head { stamp: Some(stamp), path: Path::Full { from, to }, ..Head::default() })
}
