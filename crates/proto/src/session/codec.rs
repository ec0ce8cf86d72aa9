//! Codecs: what a format number stands for.

use std::borrow::Cow;

use super::formats::Format;

/// One format a stream can use.
///
/// Names are compared without regard to case, as RFC 8866 §6.6 says of encoding names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    /// The encoding name, or for transports other than RTP the format itself, such as `t38`.
    pub name: Cow<'static, str>,
    /// The clock rate in hertz; 0 for transports other than RTP.
    pub clock: u32,
    /// The number of channels.
    pub channels: u8,
    /// The payload type to use if nothing else decides it: fixed for old codecs, a wish for new ones.
    pub payload: Option<u8>,
    /// Parameters of the format, the value of `a=fmtp`.
    pub fmtp: Option<Cow<'static, str>>,
}

impl Codec {
    /// A codec with one channel and no number of its own.
    pub fn new(name: impl Into<Cow<'static, str>>, clock: u32) -> Self {
        Self { name: name.into(), clock, channels: 1, payload: None, fmtp: None }
    }

    /// The same codec with a payload type it would like to have.
    pub fn numbered(mut self, payload: u8) -> Self {
        self.payload = Some(payload);
        self
    }

    /// The same codec with format parameters.
    pub fn with_fmtp(mut self, fmtp: impl Into<Cow<'static, str>>) -> Self {
        self.fmtp = Some(fmtp.into());
        self
    }

    /// G.711 µ-law.
    pub fn pcmu() -> Self {
        Self::new("PCMU", 8000).numbered(0)
    }

    /// G.711 A-law.
    pub fn pcma() -> Self {
        Self::new("PCMA", 8000).numbered(8)
    }

    /// G.722; its RTP clock is 8000 although it samples at 16 kHz. RFC 3551 §4.5.2.
    pub fn g722() -> Self {
        Self::new("G722", 8000).numbered(9)
    }

    /// Opus; always written with 48000 Hz and two channels.
    pub fn opus() -> Self {
        Self { channels: 2, ..Self::new("opus", 48000).numbered(111) }
    }

    /// DTMF digits as events, the keypad ones. RFC 4733 §7.1.1.
    pub fn telephone_event() -> Self {
        Self::new("telephone-event", 8000).numbered(101).with_fmtp("0-16")
    }

    /// A fax over UDPTL, for streams of kind `image`.
    pub fn t38() -> Self {
        Self::new("t38", 0)
    }

    /// Whether this is DTMF rather than something to talk with.
    pub fn is_telephone_event(&self) -> bool {
        Format::of(self).is_telephone_event()
    }

    /// Whether this only goes along with a real codec: DTMF, comfort noise, redundancy, repair.
    pub fn is_companion(&self) -> bool {
        Format::of(self).is_companion()
    }

    /// Whether both mean the same format; numbers do not count.
    pub fn same(&self, other: &Self) -> bool {
        Format::of(self).same(&Format::of(other))
    }
}
