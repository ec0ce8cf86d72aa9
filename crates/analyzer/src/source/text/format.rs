//! What the records of each log look like: where one begins and ends, and what its head says.

mod avaya;
mod cisco;
mod pbx;
mod phone;
mod sbc;
mod taps;
mod web;

use std::net::SocketAddr;

use midcall_proto::dialog::Way;
use midcall_proto::flow::Transport;

use super::scan::holds;
use super::stamp::Stamp;

/// What the head of a record says about the message in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) stamp: Option<Stamp>,
    pub(super) path: Path,
    /// Left to the Via of the message where the log does not name it.
    pub(super) transport: Option<Transport>,
    /// How many bytes the message had.
    pub(super) size: Option<usize>,
}

/// As much as a head says about where a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Path {
    /// From where to where.
    Full { from: SocketAddr, to: SocketAddr },
    /// Which way, and the address of the other side.
    Remote { way: Way, remote: SocketAddr },
    /// Which way, seen from whoever wrote the log.
    Way(Way),
    /// Nothing.
    #[default]
    Unknown,
}

/// What a line is in a log of some format.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Nothing that the format knows: text of a message, or of something else.
    Pass,
    /// The first line of a head that has more.
    Begin,
    /// More of a head, or what is no text of any message.
    Part,
    /// The end of a head.
    Head(Head),
    /// A head, and from this place on the first line of the message.
    Inline(Head, usize),
    /// From this place on text of the message.
    Text(usize),
    /// From this place on the first line of the body, with no empty line before it.
    Body(usize),
    /// The end of a record.
    End,
    /// Up to this place the last line of a message.
    Last(usize),
    /// A note that the rest of the message was left out.
    Cut,
    /// When the message before it passed.
    Time(Stamp),
}

/// The records of one kind of log.
pub(super) trait Format: Send {
    /// What to call it.
    fn name(&self) -> &'static str;

    /// What a line is, without its end; `open` says whether it stands behind a message whose end has not come.
    fn line(&mut self, line: &[u8], open: bool) -> Step;

    /// Whether the time of a message stands behind it.
    fn late(&self) -> bool {
        false
    }

    /// Whether an empty line within a body is the logger's own.
    fn pads(&self) -> bool {
        false
    }

    /// Whether it may wrap a whole message to the width of a terminal.
    fn wraps(&self) -> bool {
        false
    }
}

/// A format whose heads and ends are single lines.
struct Single {
    name: &'static str,
    /// The head that a line is.
    head: fn(&[u8]) -> Option<Head>,
    /// Whether a line ends a record.
    end: fn(&[u8]) -> bool,
}

impl Format for Single {
    fn name(&self) -> &'static str {
        self.name
    }

    fn line(&mut self, line: &[u8], _: bool) -> Step {
        match (self.head)(line) {
            Some(head) => Step::Head(head),
            None if (self.end)(line) => Step::End,
            None => Step::Pass,
        }
    }
}

/// Every format, the ones that are told most surely first.
pub(super) fn all() -> Vec<Box<dyn Format>> {
    let single = |name, head, end| Box::new(Single { name, head, end }) as Box<dyn Format>;
    vec![
        single("sngrep text", taps::sngrep, never),
        Box::new(taps::Ngrep),
        single("HOMER text", taps::homer, never),
        Box::new(taps::SipDump::default()),
        single("OpenSIPS tracer file", taps::opensips, never),
        single("Asterisk log", pbx::asterisk, pbx::asterisk_end),
        Box::new(pbx::Sofia),
        single("Genesys SIP Server log", pbx::genesys, Stamp::leads),
        single("pjsua log", phone::pjsua, |line| line == b"--end msg--"),
        single("linphone log", phone::belle_sip, |line| holds(line, b" belle-sip-") && Stamp::leads(line)),
        Box::new(phone::Baresip::default()),
        Box::new(phone::Sipp::default()),
        Box::new(web::JsSip::default()),
        single("SIP.js console", web::sip_js, never),
        Box::new(cisco::Ios::default()),
        single("Cisco CUCM SDL log", cisco::cucm, cisco::cucm_end),
        Box::new(sbc::AudioCodes::default()),
        single("Oracle sipmsg.log", sbc::oracle, |line| {
            line.len() == 40 && line.iter().all(|byte| *byte == b'-')
        }),
        Box::new(sbc::Ribbon::default()),
        Box::new(avaya::TraceSm::default()),
        Box::new(avaya::IpOffice::default()),
        Box::new(avaya::Aep),
        Box::new(web::Lync::default()),
        single("UCCAPI log", web::uccapi, |line| holds(line, b" End of ")),
    ]
}

const fn never(_: &[u8]) -> bool {
    false
}

/// The transport with this name, in any case.
fn transport(name: &[u8]) -> Option<Transport> {
    std::str::from_utf8(name).ok().and_then(Transport::parse)
}

/// A line of this many of one byte.
fn rule(line: &[u8], byte: u8, count: usize) -> bool {
    line.len() == count && line.iter().all(|one| *one == byte)
}

/// What stands before a place in a line.
fn before(line: &[u8], at: usize) -> &[u8] {
    line.get(..at).unwrap_or_default()
}
