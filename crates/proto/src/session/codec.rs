//! Codecs: what a format number stands for.

use midcall_wire::sdp::RtpMap;

/// One format a stream can use.
///
/// Names are compared without regard to case, as RFC 8866 §6.6 says of encoding names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    /// The encoding name, or for transports other than RTP the format itself, such as `t38`.
    pub name: String,
    /// The clock rate in hertz; 0 for transports other than RTP.
    pub clock: u32,
    /// The number of channels.
    pub channels: u8,
    /// The payload type to use if nothing else decides it: fixed for old codecs, a wish for new ones.
    pub payload: Option<u8>,
    /// Parameters of the format, the value of `a=fmtp`.
    pub fmtp: Option<String>,
}

impl Codec {
    /// A codec with one channel and no number of its own.
    pub fn new(name: impl Into<String>, clock: u32) -> Self {
        Self { name: name.into(), clock, channels: 1, payload: None, fmtp: None }
    }

    /// The same codec with a payload type it would like to have.
    pub fn numbered(mut self, payload: u8) -> Self {
        self.payload = Some(payload);
        self
    }

    /// The same codec with format parameters.
    pub fn with_fmtp(mut self, fmtp: impl Into<String>) -> Self {
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
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether this only goes along with a real codec: DTMF, comfort noise, redundancy.
    pub fn is_companion(&self) -> bool {
        self.is_telephone_event()
            || ["CN", "red", "ulpfec", "rtx"].iter().any(|n| self.name.eq_ignore_ascii_case(n))
    }

    /// Whether both mean the same format; numbers do not count.
    pub fn same(&self, other: &Self) -> bool {
        self.alike(other) && self.packing() == other.packing()
    }

    /// The same encoding; parameters are left to the two parties.
    pub(super) fn alike(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock == other.clock
            && self.channels == other.channels
    }

    /// The number this codec always has, whatever the description. RFC 3551 §6.
    pub(super) fn fixed_payload(&self) -> Option<u8> {
        self.payload.filter(|payload| {
            RtpMap::fixed(*payload).is_some_and(|map| {
                map.name.eq_ignore_ascii_case(&self.name)
                    && map.clock == self.clock
                    && map.channels == self.channels
            })
        })
    }

    pub(super) fn rtpmap(&self) -> String {
        RtpMap { name: &self.name, clock: self.clock, channels: self.channels }.to_string()
    }

    /// The parameter that makes two forms of one codec unable to talk to each other, if the codec has one.
    fn packing(&self) -> Option<String> {
        let key = match self.name.to_ascii_uppercase().as_str() {
            "AMR" | "AMR-WB" => "octet-align", // RFC 4867 §8.1
            "H264" => "packetization-mode",    // RFC 6184 §8.2.2
            _ => return None,
        };
        let value = self.fmtp.as_deref().and_then(|fmtp| parameter(fmtp, key)).unwrap_or("0");
        Some(value.to_owned())
    }
}

fn parameter<'f>(fmtp: &'f str, key: &str) -> Option<&'f str> {
    fmtp.split(';').find_map(|item| {
        let (name, value) = item.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
    })
}
