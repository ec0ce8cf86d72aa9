//! Cisco: IOS (`debug ccsip messages`, `show voip trace`) and CUCM (SDL traces).

use std::net::SocketAddr;

use midcall_proto::dialog::Way;

use super::super::scan::{Scan, endpoint, holds, host_of};
use super::super::stamp::Stamp;
use super::{Format, Head, Path, Step, before, transport};

/// IOS: a stamped line that ends in `ccsipDisplayMsg:`, then `Received:` or `Sent:`; from a VoIP trace with addresses.
#[derive(Default)]
pub(super) struct Ios {
    stamp: Option<Option<Stamp>>,
    traced: bool,
}

impl Format for Ios {
    fn name(&self) -> &'static str {
        if self.traced { "Cisco VoIP trace" } else { "Cisco ccsip debug" }
    }

    fn line(&mut self, line: &[u8], open: bool) -> Step {
        let stamp = self.stamp.take();
        if let Some(at) = memchr::memmem::find(line, b"ccsipDisplayMsg:") {
            let begin = before(line, memchr::memmem::find(line, b"//").unwrap_or(at));
            let stamp = Stamp::find(begin);
            let behind = line.get(at + b"ccsipDisplayMsg:".len()..).unwrap_or_default();
            if behind.trim_ascii().is_empty() {
                self.stamp = Some(stamp);
                return Step::Begin;
            }
            return self.head(behind, stamp).map_or(Step::Pass, Step::Head);
        }
        if let Some(stamp) = stamp {
            return self.head(line, stamp).map_or(Step::Pass, Step::Head);
        }
        if open && holds(line, b": //") && Stamp::leads(line) { Step::End } else { Step::Pass }
    }
}

impl Ios {
    fn head(&mut self, line: &[u8], stamp: Option<Stamp>) -> Option<Head> {
        let mut scan = Scan::new(line.trim_ascii());
        let way = scan.either((b"Received:", Way::Received), (b"Sent:", Way::Sent))?;
        let mut head = Head { stamp, path: Path::Way(way), ..Head::default() };
        if scan.eat(b" SIP ").is_some() {
            self.traced = true;
            head.transport = transport(scan.word()?);
            scan.eat(b" message from ")?;
            let from = endpoint(scan.word()?)?;
            scan.eat(b" to ")?;
            head.path = Path::Full { from, to: endpoint(scan.word()?)? };
        }
        Some(head)
    }
}

/// `00001000.001 |12:00:00.123 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from 192.0.2.10 on port 5060
/// index 7 with 561 bytes:`, `… Outgoing SIP UDP message to 192.0.2.10:[5060]:`
pub(super) fn cucm(line: &[u8]) -> Option<Head> {
    let at =
        memchr::memmem::find(line, b"coming SIP ").or_else(|| memchr::memmem::find(line, b"going SIP "))?;
    let begin = before(line, at);
    if !holds(begin, b"wait_Sdl") {
        return None;
    }
    let stamp = Stamp::find(begin);
    let mut scan = Scan::new(line.get(at..)?);
    let way = scan.either((b"coming SIP ", Way::Received), (b"going SIP ", Way::Sent))?;
    let transport = transport(scan.word()?);
    scan.eat(b" message ")?;
    let mut size = scan.eat(b"size ").and_then(|()| scan.number());
    scan.spaces();
    scan.either((b"from ", ()), (b"to ", ()))?;
    let host = scan.word()?;
    let remote: SocketAddr = if scan.eat(b" on port ").is_some() {
        let port = scan.number()?;
        size = scan.until(b" with ").and_then(|_| scan.number());
        (host_of(host)?, u16::try_from(port).ok()?).into()
    } else {
        // The port stands in brackets, the address does not.
        let mut parts = Scan::new(host);
        let address = parts.until(b":[")?;
        (host_of(address)?, u16::try_from(parts.number()?).ok()?).into()
    };
    let size = size.and_then(|size| usize::try_from(size).ok());
    Some(Head { stamp, path: Path::Remote { way, remote }, transport, size })
}

/// Whether another line of the trace begins: `00001001.000 |`.
pub(super) fn cucm_end(line: &[u8]) -> bool {
    let mut scan = Scan::new(line);
    scan.number().is_some()
        && scan.eat(b".").is_some()
        && scan.number().is_some()
        && (scan.eat(b" |").is_some() || scan.eat(b"|").is_some())
}
