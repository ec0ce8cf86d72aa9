//! Phones and test tools: pjsua, linphone, baresip, SIPp.

use midcall_proto::dialog::Way;

use super::super::scan::{Scan, endpoint, holds, host_of};
use super::super::stamp::Stamp;
use super::{Format, Head, Path, Step, before, transport};

/// `12:00:00.123   pjsua_core.c  .RX 561 bytes Request msg INVITE/cseq=2 (rdata0x7f00aa) from UDP 192.0.2.10:5060:`
pub(super) fn pjsua(line: &[u8]) -> Option<Head> {
    let text = line.strip_suffix(b":")?;
    let at = memchr::memmem::find(text, b"X ")?;
    let (begin, mut scan) = (before(text, at), Scan::new(text.get(at + 2..)?));
    let (way, word): (_, &[u8]) = match begin.last()? {
        b'R' => (Way::Received, b" from "),
        b'T' => (Way::Sent, b" to "),
        _ => return None,
    };
    let size = usize::try_from(scan.number()?).ok();
    scan.eat(b" bytes ")?;
    scan.until(word)?;
    let transport = transport(scan.word()?);
    let remote = endpoint(scan.word()?)?;
    Some(Head { stamp: Stamp::find(begin), path: Path::Remote { way, remote }, transport, size })
}

/// `… message sent to [UDP://192.0.2.10:5060], size: [540] bytes` and `… received [561] new bytes from [UDP://…]:`
pub(super) fn belle_sip(line: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(line);
    let (begin, way, size) = if holds(line, b"://") && holds(line, b"message sent to [") {
        (scan.until(b"message sent to [")?, Way::Sent, None)
    } else if holds(line, b"] new bytes from [") {
        let begin = scan.until(b"received [")?;
        let size = scan.number().and_then(|size| usize::try_from(size).ok());
        scan.until(b"from [")?;
        (begin, Way::Received, size)
    } else {
        return None;
    };
    let transport = transport(scan.until(b"://")?);
    let remote = scan.until(b"]")?;
    let remote = match endpoint(remote) {
        Some(remote) => remote,
        None => (host_of(remote)?, transport?.default_port()).into(),
    };
    let stated =
        scan.eat(b", size: [").and_then(|()| scan.number()).and_then(|size| usize::try_from(size).ok());
    let stamp = Stamp::find(begin);
    Some(Head { stamp, path: Path::Remote { way, remote }, transport, size: size.or(stated) })
}

/// The trace of baresip: a time with `#`, then the path.
#[derive(Default)]
pub(super) struct Baresip {
    stamp: Option<Option<Stamp>>,
}

impl Format for Baresip {
    fn name(&self) -> &'static str {
        "baresip trace"
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        if let Some(stamp) = self.stamp.take()
            && let Some(head) = baresip(line, stamp)
        {
            return Step::Head(head);
        }
        if let Some(time) = line.strip_suffix(b"#")
            && (time.is_empty() || Stamp::leads(time))
        {
            self.stamp = Some(Stamp::find(time));
            return Step::Begin;
        }
        Step::Pass
    }
}

fn baresip(line: &[u8], stamp: Option<Stamp>) -> Option<Head> {
    let mut scan = Scan::new(line);
    let transport = transport(scan.word()?)?;
    let from = endpoint(scan.word()?)?;
    scan.eat(b" -> ")?;
    let to = endpoint(scan.word()?)?;
    Some(Head { stamp, path: Path::Full { from, to }, transport: Some(transport), size: None })
}

/// The message file of SIPp: a rule of dashes with the time, then what happened.
#[derive(Default)]
pub(super) struct Sipp {
    stamp: Option<Option<Stamp>>,
}

impl Format for Sipp {
    fn name(&self) -> &'static str {
        "SIPp message trace"
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        if let Some(time) = line.strip_prefix(&[b'-'; 47])
            && time.starts_with(b" ")
        {
            self.stamp = Some(Stamp::find(time));
            return Step::Begin;
        }
        match self.stamp.take().and_then(|stamp| sipp(line, stamp)) {
            Some(head) => Step::Head(head),
            None => Step::Pass,
        }
    }
}

fn sipp(line: &[u8], stamp: Option<Stamp>) -> Option<Head> {
    let mut scan = Scan::new(line);
    let transport = transport(scan.word()?);
    scan.eat(b" ")?;
    // Other words may stand before it, such as `control`.
    scan.until(b"message ")?;
    let way = scan.either((b"received ", Way::Received), (b"sent ", Way::Sent))?;
    scan.either((b"[", ()), (b"(", ()))?;
    let size = usize::try_from(scan.number()?).ok();
    Some(Head { stamp, path: Path::Way(way), transport, size })
}
