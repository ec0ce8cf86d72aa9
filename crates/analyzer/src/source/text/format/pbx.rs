//! Asterisk (both channel drivers), whatever uses the Sofia library, Genesys SIP Server.

use midcall_proto::dialog::Way;

use super::super::scan::{Scan, endpoint, holds, host_of, number};
use super::super::stamp::Stamp;
use super::{Format, Head, Path, Step, before, rule, transport};

/// `<--- Received SIP request (561 bytes) from UDP:192.0.2.10:5060 --->`, `<--- SIP read from UDP:192.0.2.10:5060 --->`,
/// `<--- Reliably Transmitting (no NAT) to 192.0.2.10:5060 --->`, `Retransmitting #1 (NAT) to 192.0.2.10:5060:`, behind
/// whatever the log begins its lines with.
pub(super) fn asterisk(line: &[u8]) -> Option<Head> {
    if line.ends_with(b"--->") {
        let mut scan = Scan::new(line);
        let begin = scan.until(b"<--- ")?;
        let what = scan.until(b" --->")?;
        let stamp = Stamp::find(begin);
        return pjsip(what, stamp).or_else(|| chan_sip(what, stamp));
    }
    let what = line.strip_suffix(b":")?;
    let at = memchr::memmem::find(what, b"ransmitting ")?;
    chan_sip(what, Stamp::find(before(line, at)))
}

fn pjsip(what: &[u8], stamp: Option<Stamp>) -> Option<Head> {
    let mut scan = Scan::new(what);
    let way = scan.either((b"Received SIP ", Way::Received), (b"Transmitting SIP ", Way::Sent))?;
    scan.until(b"(")?;
    let size = scan.number().and_then(|size| usize::try_from(size).ok());
    scan.until(b" bytes) ")?;
    scan.word()?;
    scan.spaces();
    let transport = transport(scan.until(b":")?);
    let remote = endpoint(scan.rest())?;
    Some(Head { stamp, path: Path::Remote { way, remote }, transport, size })
}

fn chan_sip(what: &[u8], stamp: Option<Stamp>) -> Option<Head> {
    let mut scan = Scan::new(what);
    if scan.eat(b"SIP read from ").is_some() {
        let transport = transport(scan.until(b":")?);
        let remote = endpoint(scan.rest())?;
        return Some(Head {
            stamp,
            path: Path::Remote { way: Way::Received, remote },
            transport,
            size: None,
        });
    }
    scan.until(b"ransmitting ")?;
    scan.until(b"NAT) to ")?;
    let remote = endpoint(scan.rest())?;
    Some(Head { stamp, path: Path::Remote { way: Way::Sent, remote }, ..Head::default() })
}

/// The rules that `chan_sip` draws under a message.
pub(super) fn asterisk_end(line: &[u8]) -> bool {
    matches!(line, b"<------------->" | b"<------------>" | b"---") || line.starts_with(b"--- (")
}

/// `recv 561 bytes from udp/[192.0.2.10]:5060 at 12:00:00.123456:` as FreeSWITCH, drachtio and others print it.
pub(super) struct Sofia;

impl Format for Sofia {
    fn name(&self) -> &'static str {
        "Sofia log (FreeSWITCH, drachtio)"
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        if let Some(head) = sofia(line) {
            return Step::Head(head);
        }
        if open {
            let line = line.trim_ascii();
            if rule(line, b'-', 72) {
                return Step::End;
            }
            if line.starts_with(b"*** message truncated") {
                return Step::Cut;
            }
        }
        Step::Pass
    }
}

fn sofia(line: &[u8]) -> Option<Head> {
    line.strip_suffix(b":")?;
    let mut scan = Scan::new(line);
    let begin = scan.until(b" bytes ")?;
    let (words, size) = begin.split_at_checked(memchr::memrchr(b' ', begin)? + 1)?;
    let way = if words.ends_with(b"recv ") {
        Way::Received
    } else if words.ends_with(b"send ") || words.ends_with(b"sent ") {
        Way::Sent
    } else {
        return None;
    };
    let size = number(size).and_then(|size| usize::try_from(size).ok());
    scan.either((b"from ", ()), (b"to ", ()))?;
    let transport = transport(scan.until(b"/[")?);
    let host = host_of(scan.until(b"]")?)?;
    let port = scan.eat(b":").and_then(|()| scan.number()).unwrap_or(5060);
    let remote = (host, u16::try_from(port).ok()?).into();
    scan.until(b" at ")?;
    // The log may begin its lines with the date.
    let stamp = Stamp::find(line);
    Some(Head { stamp, path: Path::Remote { way, remote }, transport, size })
}

/// `12:00:00.123: SIPTR: Received [0,UDP] 561 bytes from 192.0.2.10:5060 <<<<<`, and `Sending  [..` with `>>>>>`.
pub(super) fn genesys(line: &[u8]) -> Option<Head> {
    let (line, way, word) = match line.strip_suffix(b" <<<<<") {
        Some(line) => (line, Way::Received, b"Received"),
        None => (line.strip_suffix(b" >>>>>")?, Way::Sent, b"Sending "),
    };
    if !holds(line, b" bytes ") {
        return None;
    }
    let mut scan = Scan::new(line);
    let stamp = Stamp::find(scan.until(word)?);
    scan.until(b",")?;
    let transport = transport(scan.until(b"]")?);
    scan.spaces();
    let size = scan.number().and_then(|size| usize::try_from(size).ok());
    let remote = endpoint(line.rsplit(|byte| *byte == b' ').next()?)?;
    Some(Head { stamp, path: Path::Remote { way, remote }, transport, size })
}
