//! What a description breaks, whoever wrote it.

use std::fmt;

use midcall_wire::sdp::{Crypto, Direction, Media, Sdp};

use crate::rules::RuleId;

use super::formats::{Facts, explained};
use super::going_on::check_origin_numbers;

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
    /// Two streams of different types changed places. RFC 3264 §8.1.
    Reordered {
        /// The first position of the two.
        stream: usize,
    },
    /// A stream with port 0 lists ICE candidates. RFC 8839 §4.4.1.1.2.
    DeadCandidates {
        /// The position of the stream.
        stream: usize,
    },
    /// Nothing in common with what the stream used before. RFC 3261 §14.2.
    NoOverlap {
        /// The position of the stream.
        stream: usize,
    },
    /// `telephone-event` was agreed and is gone. RFC 4733 §2.1.
    EventsLost {
        /// The position of the stream.
        stream: usize,
    },
    /// Only one half of the ICE credentials changed. RFC 8839 §4.4.1.1.1.
    IceHalfRestart {
        /// The position of the stream.
        stream: usize,
    },
    /// The address or port moved, the SRTP key did not change. RFC 4568 §7.1.4.
    KeyKept {
        /// The position of the stream.
        stream: usize,
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
            Self::IceHalfRestart { .. } => RuleId::IceHalfRestart,
            Self::Reordered { .. } => RuleId::MediaLinesReordered,
            Self::DeadCandidates { .. } => RuleId::IceInLaterOffers,
            Self::NoOverlap { .. } => RuleId::NoOverlapWithLastSession,
            Self::EventsLost { .. } => RuleId::ToneEventsLost,
            Self::CryptoNotOffered { .. } | Self::KeyKept { .. } => RuleId::SrtpKeys,
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
            | Self::IceHalfRestart { stream }
            | Self::KeyKept { stream }
            | Self::Reordered { stream }
            | Self::DeadCandidates { stream }
            | Self::NoOverlap { stream }
            | Self::EventsLost { stream }
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
            Self::IceHalfRestart { .. } => f.write_str("only one of ice-ufrag and ice-pwd changed"),
            Self::Reordered { .. } => f.write_str("changed places with a stream of another type"),
            Self::DeadCandidates { .. } => f.write_str("port 0 with ICE candidates"),
            Self::NoOverlap { .. } => f.write_str("nothing in common with what was in use"),
            Self::EventsLost { .. } => f.write_str("telephone-event is gone"),
            Self::KeyKept { .. } => f.write_str("address or port moved with the old SRTP key"),
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
    let (mut ours, mut theirs) = (offer.media(), answer.media());
    let (mut offered, mut answered) = (0, 0);
    loop {
        let (one, other) = (ours.next(), theirs.next());
        offered += usize::from(one.is_some());
        answered += usize::from(other.is_some());
        match (one, other) {
            (None, None) => break,
            (Some(one), Some(other)) => check_stream(&one, (answer, &other), &mut faults),
            _ => {}
        }
    }
    if offered != answered {
        faults.insert(0, Fault::LineCount { offered, answered });
    }
    let echoed = offer.is_same_session(answer) == Some(true)
        && offer.origin().zip(answer.origin()).is_some_and(|(offered, answered)| offered == answered);
    if echoed && !offer.same_but_version(answer) {
        faults.push(Fault::OriginEchoed);
    }
    faults
}

/// Equal but for case; mostly they are written alike.
fn same_word(one: &str, other: &str) -> bool {
    one == other || one.eq_ignore_ascii_case(other)
}

fn check_stream(offered: &Media<'_>, (to, answered): (&Sdp, &Media<'_>), faults: &mut Vec<Fault>) {
    let stream = offered.index();
    let mut fault = |broken: bool, fault: Fault| {
        if broken {
            faults.push(fault);
        }
    };
    let (offer, answer) = (Facts::of(offered), Facts::of(answered));
    let same_type = same_word(offered.kind(), answered.kind());
    fault(!same_type, Fault::MediaType { stream });
    fault(answered.formats().next().is_none(), Fault::NoFormat { stream });
    let mids = offer.mid.zip(answer.mid);
    fault(mids.is_some_and(|(offered, answered)| offered != answered), Fault::MidChanged { stream });
    let off = offered.rejected();
    fault(off && answered.port() != 0, Fault::Revived { stream });
    if off || answered.rejected() || !same_type {
        return;
    }
    let ways = (offered.direction(), answered.direction());
    fault(!ways.0.may_be_answered(ways.1), Fault::Direction { stream, offered: ways.0, answered: ways.1 });
    let (shared, in_order) = common((offered, &offer), (answered, &answer));
    fault(!shared, Fault::NoCommonFormat { stream });
    fault(!in_order, Fault::FormatOrder { stream });
    let addresses = offered.connection_data().zip(answered.connection_data());
    if let Some((one, other)) = addresses {
        let same = same_word(one.address_type, other.address_type);
        fault(!same, Fault::AddressFamily { stream });
        let zero = one.is_black_hole() && other.is_black_hole();
        fault(zero && !offer.has_candidates, Fault::ZeroAddress { stream });
    }
    for payload in answer.unexplained() {
        fault(true, Fault::Unexplained { stream, payload });
    }
    fault(answer.setup.or_else(|| to.attribute("setup")) == Some("actpass"), Fault::SetupOpen { stream });
    fault(answer.demands_mux, Fault::MuxOnlyAnswered { stream });
    let offers = |key: Crypto<'_>| offered.crypto().any(|o| (o.tag, o.suite) == (key.tag, key.suite));
    fault(answer.has_keys && !answered.crypto().all(offers), Fault::CryptoNotOffered { stream });
}

/// Whether a format answered is one of the offer, and whether all such stand in the order of the offer.
fn common(offer: (&Media<'_>, &Facts<'_>), answer: (&Media<'_>, &Facts<'_>)) -> (bool, bool) {
    let ((offered, offer), (answered, answer)) = (offer, answer);
    let (mut last, mut in_order) = (None, true);
    let mut stands_at = |place: Option<usize>| {
        in_order &= place.is_none() || last <= place;
        last = place.or(last);
    };
    match (offered.is_rtp(), answered.is_rtp()) {
        (true, true) => answer.numbers.iter().for_each(|number| stands_at(place(offer, answer, *number))),
        (false, false) => answered.formats().for_each(|format| {
            stands_at(offered.formats().position(|other| other.eq_ignore_ascii_case(format)));
        }),
        _ => {}
    }
    (last.is_some(), in_order)
}

/// Where the format of this number in an answer stands in the offer: under the same number, else the first with the same
/// meaning.
fn place(offer: &Facts<'_>, answer: &Facts<'_>, number: Option<u8>) -> Option<usize> {
    let wanted = number?;
    let same = |other: u8| answer.mean_the_same(wanted, offer, other);
    let by_number = offer.numbers.iter().position(|other| *other == number).filter(|_| same(wanted));
    by_number.or_else(|| offer.numbers.iter().position(|other| other.is_some_and(same)))
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
    if previous == new {
        return faults;
    }
    for (before, after) in previous.media().zip(new.media()) {
        let same_type = before.kind().eq_ignore_ascii_case(after.kind());
        let goes_on = same_type && !before.rejected() && !after.rejected();
        if goes_on && before.is_rtp() && after.is_rtp() {
            check_numbers(&before, &after, &mut faults);
            check_secrets(&before, &after, &mut faults);
        }
    }
    faults.extend(check_origin(previous, new));
    faults
}

fn check_secrets(before: &Media<'_>, after: &Media<'_>, faults: &mut Vec<Fault>) {
    let stream = after.index();
    let changed = |name| Some(before.inherited(name)? != after.inherited(name)?);
    if let (Some(ufrag), Some(password)) = (changed("ice-ufrag"), changed("ice-pwd"))
        && ufrag != password
    {
        faults.push(Fault::IceHalfRestart { stream });
    }
    let place = |media: &Media<'_>| (media.connection().map(str::to_owned), media.port());
    let kept = |key: Crypto<'_>| before.crypto().any(|old| old.parameters == key.parameters);
    if after.crypto().any(kept) && place(before) != place(after) {
        faults.push(Fault::KeyKept { stream });
    }
}

fn check_numbers(before: &Media<'_>, after: &Media<'_>, faults: &mut Vec<Fault>) {
    let old = explained(before);
    for format in explained(after) {
        let moved = old.iter().any(|known| known.number == format.number && !known.alike(&format));
        if let Some(payload) = format.number.filter(|number| moved && (96..128).contains(number)) {
            faults.push(Fault::Renumbered { stream: after.index(), payload });
        }
    }
}

/// Says what is wrong with the `o=` line of a description after the previous one of the same side. RFC 3264 §8.
pub fn check_origin(previous: &Sdp, new: &Sdp) -> impl Iterator<Item = Fault> + use<> {
    let step = check_origin_step(previous, new);
    let numbers = check_origin_numbers(new).filter(|_| step != Some(Fault::OriginChanged));
    numbers.into_iter().chain(step)
}

fn check_origin_step(previous: &Sdp, new: &Sdp) -> Option<Fault> {
    if !previous.is_same_session(new)? {
        return Some(Fault::OriginChanged);
    }
    let (old, version) = (previous.version()?, new.version()?);
    if version == old {
        return (previous != new && !previous.same_but_version(new)).then_some(Fault::VersionKept);
    }
    (!version.follows(&old)).then_some(Fault::VersionStep)
}
