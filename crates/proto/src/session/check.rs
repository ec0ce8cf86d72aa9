//! What a description breaks, whoever wrote it.

use std::fmt;

use midcall_wire::sdp::{Direction, Media, Sdp};

use crate::rules::RuleId;

use super::MediaKind;
use super::numbers::{explained, unexplained};

/// Something wrong with an answer, or with the next description of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An answer has another number of `m=` lines than the offer. RFC 3264 §6.
    LineCount {
        /// How many the offer has.
        offered: usize,
        /// How many the answer has.
        answered: usize,
    },
    /// An answered stream is of another media type than the one offered. RFC 3264 §6.
    MediaType {
        /// The position of the stream.
        stream: usize,
    },
    /// A stream offered with port 0 was answered with a port. RFC 3264 §6.
    Revived {
        /// The position of the stream.
        stream: usize,
    },
    /// An `m=` line lists no format. RFC 3264 §6.
    NoFormat {
        /// The position of the stream.
        stream: usize,
    },
    /// The direction answered is not one the offer leaves. RFC 3264 §6.1.
    Direction {
        /// The position of the stream.
        stream: usize,
        /// The direction offered.
        offered: Direction,
        /// The direction answered.
        answered: Direction,
    },
    /// A stream was accepted without a format both sides have. RFC 3264 §6.1.
    NoCommonFormat {
        /// The position of the stream.
        stream: usize,
    },
    /// The answer lists formats in another order than the offer. RFC 3264 §6.1.
    FormatOrder {
        /// The position of the stream.
        stream: usize,
    },
    /// The answer repeats the zero address of the offer. RFC 6337 §5.4.
    ZeroAddress {
        /// The position of the stream.
        stream: usize,
    },
    /// The answer uses another address family than the offer. RFC 6157 §4.1.
    AddressFamily {
        /// The position of the stream.
        stream: usize,
    },
    /// The answer differs from the offer but has its `o=` line. RFC 3264 §6.
    OriginEchoed,
    /// An accepted stream lists a dynamic payload type nothing explains. RFC 3264 §6.1.
    Unexplained {
        /// The position of the stream.
        stream: usize,
        /// The payload type.
        payload: u8,
    },
    /// The answer to `setup:actpass` leaves the role open. RFC 5763 §5.
    SetupOpen {
        /// The position of the stream.
        stream: usize,
    },
    /// The answer's keys have a tag or suite that was not offered. RFC 4568 §5.1.2.
    CryptoNotOffered {
        /// The position of the stream.
        stream: usize,
    },
    /// The identification tag of the stream is not the one offered. RFC 5888 §9.1.
    MidChanged {
        /// The position of the stream.
        stream: usize,
    },
    /// An answer demands multiplexing, which only offers may. RFC 8858 §4.
    MuxOnlyAnswered {
        /// The position of the stream.
        stream: usize,
    },
    /// The description has fewer `m=` lines than the session had. RFC 3264 §8.
    LinesLost {
        /// How many there were.
        before: usize,
        /// How many there are.
        now: usize,
    },
    /// A dynamic payload type stands for another codec than before. RFC 3264 §8.3.2.
    Renumbered {
        /// The position of the stream.
        stream: usize,
        /// The payload type.
        payload: u8,
    },
    /// Something besides the version changed in the `o=` line. RFC 3264 §8.
    OriginChanged,
    /// The version went up by more than one, or down. RFC 3264 §8.
    VersionStep,
    /// The content changed but the version did not. RFC 3264 §8.
    VersionKept,
    /// The session number or version does not fit 63 bits. RFC 3264 §5.
    VersionTooLarge,
}

impl Fault {
    /// The rule that is broken.
    pub const fn rule(&self) -> RuleId {
        match self {
            Self::LineCount { .. } | Self::MediaType { .. } => RuleId::AnswerShape,
            Self::LinesLost { .. } => RuleId::MediaLineRemoved,
            Self::Revived { .. } | Self::NoFormat { .. } => RuleId::DeadStreamRevived,
            Self::Direction { .. } => RuleId::AnswerDirection,
            Self::NoCommonFormat { .. } => RuleId::NoCommonFormat,
            Self::Renumbered { .. } => RuleId::PayloadTypeRemapped,
            Self::FormatOrder { .. } => RuleId::AnswerFormatOrder,
            Self::OriginChanged | Self::VersionStep => RuleId::OriginVersionStep,
            Self::VersionKept => RuleId::SameVersionOtherBody,
            Self::VersionTooLarge => RuleId::OriginNumbersTooLong,
            Self::ZeroAddress { .. } => RuleId::ZeroAddressCopied,
            Self::AddressFamily { .. } => RuleId::AddressFamilyDiffers,
            Self::OriginEchoed => RuleId::AnswerEchoesOrigin,
            Self::Unexplained { .. } => RuleId::DynamicTypeWithoutRtpmap,
            Self::SetupOpen { .. } => RuleId::DtlsSetupInAnswer,
            Self::CryptoNotOffered { .. } => RuleId::SrtpKeys,
            Self::MidChanged { .. } => RuleId::MidChanged,
            Self::MuxOnlyAnswered { .. } => RuleId::RtcpMuxAnswer,
        }
    }

    /// The code of that rule.
    pub fn code(&self) -> &'static str {
        self.rule().rule().code
    }

    /// The position of the stream it is about; `None` when it is about the whole description.
    pub fn stream(&self) -> Option<usize> {
        match self {
            Self::MediaType { stream }
            | Self::Revived { stream }
            | Self::NoFormat { stream }
            | Self::Direction { stream, .. }
            | Self::NoCommonFormat { stream }
            | Self::FormatOrder { stream }
            | Self::ZeroAddress { stream }
            | Self::AddressFamily { stream }
            | Self::Unexplained { stream, .. }
            | Self::SetupOpen { stream }
            | Self::CryptoNotOffered { stream }
            | Self::MidChanged { stream }
            | Self::MuxOnlyAnswered { stream }
            | Self::Renumbered { stream, .. } => Some(*stream),
            Self::LineCount { .. }
            | Self::OriginEchoed
            | Self::LinesLost { .. }
            | Self::OriginChanged
            | Self::VersionStep
            | Self::VersionKept
            | Self::VersionTooLarge => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stream) = self.stream() {
            write!(f, "stream {stream}: ")?;
        }
        match self {
            Self::LineCount { offered, answered } => {
                write!(f, "{offered} m= lines offered, {answered} answered")
            }
            Self::MediaType { .. } => f.write_str("answered with another media type"),
            Self::Revived { .. } => f.write_str("offered with port 0, answered with a port"),
            Self::NoFormat { .. } => f.write_str("the m= line lists no format"),
            Self::Direction { offered, answered, .. } => write!(f, "{offered} answered with {answered}"),
            Self::NoCommonFormat { .. } => f.write_str("accepted without a common format"),
            Self::FormatOrder { .. } => f.write_str("formats are not in the order of the offer"),
            Self::ZeroAddress { .. } => f.write_str("the answer repeats the zero address of the offer"),
            Self::AddressFamily { .. } => f.write_str("the answer is in another address family"),
            Self::OriginEchoed => f.write_str("the answer has the o= line of the offer"),
            Self::Unexplained { payload, .. } => write!(f, "payload type {payload} has no rtpmap"),
            Self::SetupOpen { .. } => f.write_str("the answer says setup:actpass"),
            Self::CryptoNotOffered { .. } => f.write_str("crypto tag or suite was not offered"),
            Self::MidChanged { .. } => f.write_str("another mid than offered"),
            Self::MuxOnlyAnswered { .. } => f.write_str("rtcp-mux-only in an answer"),
            Self::LinesLost { before, now } => write!(f, "{before} m= lines before, {now} now"),
            Self::Renumbered { payload, .. } => write!(f, "payload type {payload} changed its codec"),
            Self::OriginChanged => f.write_str("o= changed in more than its version"),
            Self::VersionStep => f.write_str("the version did not go up by exactly one"),
            Self::VersionKept => f.write_str("the content changed, the version did not"),
            Self::VersionTooLarge => f.write_str("session number or version exceeds 63 bits"),
        }
    }
}

/// Says what is wrong with an answer to this offer. RFC 3264 §6.
///
/// ```
/// use midcall_proto::session::check_answer;
/// use midcall_wire::sdp::Sdp;
///
/// let sdp = |text: &str| Sdp::parse(text.as_bytes()).unwrap();
/// let hold = sdp("v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 8\na=sendonly");
/// let stubborn = sdp("v=0\no=- 9 9 IN IP4 192.0.2.2\ns=-\nc=IN IP4 192.0.2.2\nt=0 0\nm=audio 5000 RTP/AVP 8");
/// let faults = check_answer(&hold, &stubborn);
/// assert_eq!(faults[0].code(), "OA-23");
/// assert_eq!(faults[0].to_string(), "stream 0: sendonly answered with sendrecv");
/// ```
pub fn check_answer(offer: &Sdp, answer: &Sdp) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (offered, answered) = (offer.media_count(), answer.media_count());
    if offered != answered {
        faults.push(Fault::LineCount { offered, answered });
    }
    for (offered, answered) in offer.media().zip(answer.media()) {
        check_stream(&offered, &answered, &mut faults);
    }
    if offer.as_bytes() != answer.as_bytes()
        && offer.origin().is_some_and(|origin| answer.origin() == Some(origin))
        && !offer.same_but_version(answer)
    {
        faults.push(Fault::OriginEchoed);
    }
    faults
}

fn check_stream(offered: &Media<'_>, answered: &Media<'_>, faults: &mut Vec<Fault>) {
    let stream = offered.index();
    let mut fault = |broken: bool, fault: Fault| {
        if broken {
            faults.push(fault);
        }
    };
    let same_type = offered.kind().eq_ignore_ascii_case(answered.kind());
    fault(!same_type, Fault::MediaType { stream });
    fault(answered.formats().next().is_none(), Fault::NoFormat { stream });
    let mids = offered.mid().zip(answered.mid());
    fault(mids.is_some_and(|(offered, answered)| offered != answered), Fault::MidChanged { stream });
    fault(offered.rejected() && answered.port() != 0, Fault::Revived { stream });
    if answered.rejected() || offered.rejected() || !same_type {
        return;
    }
    let (from, to) = (offered.direction(), answered.direction());
    fault(!from.may_be_answered(to), Fault::Direction { stream, offered: from, answered: to });
    let positions = positions(offered, answered);
    fault(positions.iter().all(Option::is_none), Fault::NoCommonFormat { stream });
    let order: Vec<_> = positions.iter().flatten().collect();
    fault(!order.is_sorted(), Fault::FormatOrder { stream });
    let families = offered.connection_data().zip(answered.connection_data());
    if let Some((one, other)) = families {
        let same = one.address_type.eq_ignore_ascii_case(other.address_type);
        fault(!same, Fault::AddressFamily { stream });
        let zero = one.is_black_hole() && other.is_black_hole();
        fault(zero && !offered.has_attribute("candidate"), Fault::ZeroAddress { stream });
    }
    for payload in unexplained(answered) {
        fault(true, Fault::Unexplained { stream, payload });
    }
    fault(answered.inherited("setup") == Some("actpass"), Fault::SetupOpen { stream });
    fault(answered.has_attribute("rtcp-mux-only"), Fault::MuxOnlyAnswered { stream });
    let keys =
        answered.crypto().all(|key| offered.crypto().any(|o| (o.tag, o.suite) == (key.tag, key.suite)));
    fault(!keys, Fault::CryptoNotOffered { stream });
}

/// For each format answered, where the same one stands in the offer.
fn positions(offered: &Media<'_>, answered: &Media<'_>) -> Vec<Option<usize>> {
    if offered.is_rtp() != answered.is_rtp() {
        return Vec::new();
    }
    if !offered.is_rtp() {
        let place = |format: &str| offered.formats().position(|other| other.eq_ignore_ascii_case(format));
        return answered.formats().map(place).collect();
    }
    let (known, meant) = (explained(offered), explained(answered));
    let number = |format: &str| format.parse::<u8>().ok();
    let places: Vec<_> = offered.formats().map(number).collect();
    let place = |format: &str| {
        let codec =
            meant.iter().find(|(payload, _)| Some(*payload) == number(format)).map(|(_, codec)| codec);
        let same = |other: &Option<u8>| {
            let meaning = known.iter().find(|(payload, _)| Some(*payload) == *other).map(|(_, codec)| codec);
            match (codec, meaning) {
                (Some(codec), Some(meaning)) => codec.alike(meaning),
                // A number nothing explains can only be compared as such.
                _ => other.is_some() && *other == number(format),
            }
        };
        // The same number, else the first with the same meaning.
        let by_number = places.iter().position(|other| *other == number(format) && same(other));
        by_number.or_else(|| places.iter().position(same))
    };
    answered.formats().map(place).collect()
}

/// Says what is wrong with a description after the previous one of the same side. RFC 3264 §8.
///
/// `previous` is the last one that side gave, offer or answer, refused or not; `lines` the number of `m=`
/// lines of the last exchange that was completed.
///
/// ```
/// use midcall_proto::session::check_next;
/// use midcall_wire::sdp::Sdp;
///
/// let sdp = |text: &str| Sdp::parse(text.as_bytes()).unwrap();
/// let one = sdp("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 8\n");
/// let two = sdp("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4002 RTP/AVP 8\n");
/// assert_eq!(check_next(&one, 1, &two)[0].code(), "OA-30");
/// ```
pub fn check_next(previous: &Sdp, lines: usize, new: &Sdp) -> Vec<Fault> {
    let mut faults = Vec::new();
    let now = new.media_count();
    if now < lines {
        faults.push(Fault::LinesLost { before: lines, now });
    }
    for (before, after) in previous.media().zip(new.media()) {
        let goes_on = !before.rejected()
            && !after.rejected()
            && MediaKind::parse(before.kind()) == MediaKind::parse(after.kind());
        if goes_on && before.is_rtp() && after.is_rtp() {
            check_numbers(&before, &after, &mut faults);
        }
    }
    check_origin(previous, new, &mut faults);
    faults
}

fn check_numbers(before: &Media<'_>, after: &Media<'_>, faults: &mut Vec<Fault>) {
    let old = explained(before);
    for (payload, codec) in explained(after) {
        let moved = old.iter().any(|(number, meant)| *number == payload && !meant.alike(&codec));
        if moved && (96..128).contains(&payload) {
            faults.push(Fault::Renumbered { stream: after.index(), payload });
        }
    }
}

fn check_origin(previous: &Sdp, new: &Sdp, faults: &mut Vec<Fault>) {
    let (Some(before), Some(after)) = (previous.origin(), new.origin()) else { return };
    if !before.same_session(&after) {
        faults.push(Fault::OriginChanged);
        return;
    }
    let (Some(old), Some(version)) = (previous.version(), new.version()) else { return };
    let fits = |digits: &str| midcall_wire::sdp::Version::parse(digits).is_none_or(|v| v.fits_63_bits());
    if !fits(after.version) || !fits(after.session_id) {
        faults.push(Fault::VersionTooLarge);
    }
    if version == old {
        if !previous.same_but_version(new) {
            faults.push(Fault::VersionKept);
        }
    } else if version != old.plus_one() {
        faults.push(Fault::VersionStep);
    }
}
