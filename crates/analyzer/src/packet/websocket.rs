//! WebSocket frames (RFC 6455 §5): messages out of one direction of a connection. In SIP each is one message (RFC 7118 §5).

use midcall_wire::looks_like_sip;

/// One direction of a WebSocket connection.
#[derive(Debug, Default)]
pub(super) struct WebSocket {
    /// The beginning of a frame.
    buffer: Vec<u8>,
    /// The frames so far of a message in several of them.
    message: Vec<u8>,
    /// What the frames so far are of.
    kind: Kind,
    /// Bytes of a frame that are not worth keeping.
    skip: u64,
    /// Where a frame begins is no longer known.
    lost: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Kind {
    /// No message is begun.
    #[default]
    None,
    Plain,
    Deflated,
    Overlong,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Message(Vec<u8>),
    /// A ping, a pong or a close.
    Control,
    /// A message that is compressed (RFC 7692 §7).
    Deflated,
    Overlong,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    last: bool,
    deflated: bool,
    opcode: u8,
    mask: [u8; 4],
    length: u64,
    size: usize,
}

impl WebSocket {
    pub(super) fn held(&self) -> usize {
        self.buffer.len() + self.message.len()
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Found)) {
        if self.skip > 0 {
            let skipped = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
        }
        if self.lost {
            if !begins(bytes) {
                return;
            }
            self.lost = false;
        }
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        while !rest.is_empty() && !self.lost {
            let header = match Header::read(rest) {
                Read::Header(header) => header,
                Read::Short => break,
                Read::Nonsense => {
                    self.forget();
                    break;
                }
            };
            let payload = rest.get(header.size..).unwrap_or_default();
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            if length > MAX_MESSAGE {
                self.kind = Kind::Overlong;
                self.message = Vec::new();
                self.complete(header.last, sink);
                self.skip = header.length.saturating_sub(payload.len() as u64);
                rest = payload.get(length..).unwrap_or_default();
                continue;
            }
            let Some((payload, next)) = payload.split_at_checked(length) else { break };
            rest = next;
            self.frame(header, payload, sink);
        }
        if !self.lost {
            self.buffer = rest.to_vec();
        }
    }

    /// Bytes are missing. If they are all of the frame that is being skipped, it goes on behind it.
    pub(super) fn gap(&mut self, missing: usize) {
        match self.skip.checked_sub(missing as u64) {
            Some(left) if self.skip > 0 => self.skip = left,
            _ => self.forget(),
        }
    }

    fn forget(&mut self) {
        *self = Self { lost: true, ..Self::default() };
    }

    fn frame(&mut self, header: Header, payload: &[u8], sink: &mut impl FnMut(Found)) {
        match header.opcode {
            CONTINUATION => {}
            TEXT | BINARY => {
                self.message.clear();
                self.kind = if header.deflated { Kind::Deflated } else { Kind::Plain };
            }
            _ => return sink(Found::Control),
        }
        if self.kind == Kind::Plain {
            if self.message.len() + payload.len() > MAX_MESSAGE {
                (self.kind, self.message) = (Kind::Overlong, Vec::new());
            } else {
                let unmasked = payload.iter().zip(header.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
                self.message.extend(unmasked);
            }
        }
        self.complete(header.last, sink);
    }

    fn complete(&mut self, last: bool, sink: &mut impl FnMut(Found)) {
        if !last {
            return;
        }
        match std::mem::take(&mut self.kind) {
            Kind::None => {}
            Kind::Plain => sink(Found::Message(std::mem::take(&mut self.message))),
            Kind::Deflated => sink(Found::Deflated),
            Kind::Overlong => sink(Found::Overlong),
        }
    }
}

/// Whether bytes begin with a frame that holds SIP: without the HTTP exchange, nothing else tells.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let Read::Header(header) = Header::read(bytes) else { return false };
    if !matches!(header.opcode, TEXT | BINARY) || header.deflated || header.length > MAX_MESSAGE as u64 {
        return false;
    }
    let payload = bytes.get(header.size..).unwrap_or_default();
    let mut start = [0; LOOK];
    let mut length = 0;
    for ((byte, mask), into) in payload.iter().zip(header.mask.iter().cycle()).zip(&mut start) {
        *into = byte ^ mask;
        length += 1;
    }
    looks_like_sip(start.get(..length).unwrap_or_default())
}

enum Read {
    Header(Header),
    Short,
    Nonsense,
}

impl Header {
    fn read(bytes: &[u8]) -> Read {
        let [first, second, rest @ ..] = bytes else { return Read::Short };
        let opcode = first & 0x0f;
        // Two reserved bits, and opcodes that mean nothing.
        if first & 0x30 != 0 || !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE..=PONG) {
            return Read::Nonsense;
        }
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & 0x80 != 0;
        let Some(number) = rest.get(..extended) else { return Read::Short };
        let length = match extended {
            0 => u64::from(second & 0x7f),
            _ => number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let mask = match rest.get(extended..).unwrap_or_default().first_chunk::<4>() {
            _ if !masked => [0; 4],
            Some(mask) => *mask,
            None => return Read::Short,
        };
        if opcode >= CLOSE && length > 125 {
            return Read::Nonsense;
        }
        let size = 2 + extended + if masked { 4 } else { 0 };
        let (last, deflated) = (first & 0x80 != 0, first & 0x40 != 0);
        Read::Header(Self { last, deflated, opcode, mask, length, size })
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;
const MAX_MESSAGE: usize = 65_535;
/// How much of a frame is looked at to tell whether it holds SIP.
const LOOK: usize = 256;
