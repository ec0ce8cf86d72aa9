//! Making answers.

use std::fmt;

use midcall_wire::sdp::{Crypto, Media, Sdp};
use smallvec::SmallVec;

use super::formats::{Format, Formats, explained, wished};
use super::numbers::Numbers;
use super::write::{Draft, family};
use super::{Local, MediaKind, Stream, Wanted};

/// An offer of which no stream can be taken; it is refused with 488. RFC 3264 §6, RFC 3261 §20.43.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unacceptable {
    /// The code for a Warning header field.
    pub warning: u16,
    /// The text that goes with it.
    pub text: String,
}

impl fmt::Display for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.warning, self.text)
    }
}

impl std::error::Error for Unacceptable {}

/// Answers an offer with as much of what this side wants as it allows. RFC 3264 §6.
///
/// Line for line: streams nobody here wants get port 0 and keep their formats, the others list what both
/// sides can do in the offer's order with the offer's numbers, and their direction is this side's wish as
/// far as the offer lets it go. An offer whose streams are all off is answered likewise; one of whose streams
/// none can be used is [`Unacceptable`].
///
/// ```
/// use midcall_proto::session::{Codec, Local, Stream, Wanted, answer};
/// use midcall_wire::sdp::{Direction, Sdp};
///
/// let mut wanted = Wanted::new([192, 0, 2, 2].into(), 9);
/// wanted.add_stream(Stream::audio(5000, [Codec::pcma()]));
/// let offer = Sdp::parse(
///     b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///       m=audio 4000 RTP/AVP 0 8\r\na=sendonly\r\nm=video 4002 RTP/AVP 31\r\n",
/// ).unwrap();
/// let answer = answer(&wanted, &offer, Local::default()).unwrap();
/// let lines: Vec<_> = answer.media().map(|media| media.line()).collect();
/// assert_eq!(lines, ["audio 5000 RTP/AVP 8", "video 0 RTP/AVP 31"]);
/// assert_eq!(answer.media_at(0).unwrap().direction(), Direction::RecvOnly);
/// ```
pub fn answer(wanted: &Wanted, offer: &Sdp, local: Local<'_>) -> Result<Sdp, Unacceptable> {
    let offered: Lines<'_> = offer.media().collect();
    let past = Past::new(local);
    let places = places(wanted, &offered, &past);
    if places.iter().all(Option::is_none)
        && let Some(media) = offered.iter().find(|media| !media.rejected())
    {
        return Err(why_not(wanted, media));
    }
    let mut draft = start(wanted, offer, local);
    for (media, place) in offered.iter().zip(places) {
        match place {
            Some(taken) => write_live(&mut draft, media, taken, &past),
            None => draft.dead(Some(media), media.mid()),
        }
    }
    Ok(draft.finish())
}

/// Answers an offer with port 0 on every line, where it cannot be refused. RFC 6337 §5.2.4.
///
/// That is an offer in a response: it must be answered validly before the call is ended.
pub fn decline(wanted: &Wanted, offer: &Sdp, local: Local<'_>) -> Sdp {
    let mut draft = start(wanted, offer, local);
    for media in offer.media() {
        draft.dead(Some(&media), media.mid());
    }
    draft.finish()
}

/// RFC 3264 §6: the times of an answer are those of the offer.
fn start<'l>(wanted: &Wanted, offer: &Sdp, local: Local<'l>) -> Draft<'l> {
    let mut draft = Draft::new(wanted, local.last_sent);
    let mut timed = false;
    for line in offer.session_lines().filter(|line| matches!(line.letter(), Some(b't' | b'r' | b'z'))) {
        if let Ok(text) = std::str::from_utf8(line.content()) {
            draft.line(format_args!("{text}"));
            timed = true;
        }
    }
    if !timed {
        draft.line(format_args!("t=0 0"));
    }
    draft
}

/// The streams of a description, in order.
type Lines<'a> = SmallVec<[Media<'a>; 4]>;

/// A stream of ours that takes an offered line, and the formats both sides have.
struct Taken<'a> {
    index: usize,
    stream: &'a Stream,
    formats: Formats<'a>,
}

/// What this side said before, by position.
struct Past<'a> {
    ours: Lines<'a>,
    sent: Lines<'a>,
}

impl<'a> Past<'a> {
    fn new(local: Local<'a>) -> Self {
        let all = |sdp: Option<&'a Sdp>| sdp.map(|sdp| sdp.media().collect()).unwrap_or_default();
        Self { ours: all(local.agreed.map(|(ours, _)| ours)), sent: all(local.last_sent) }
    }

    /// What the numbers of a stream stood for, if it goes on.
    fn numbers(&self, media: &Media<'_>) -> Numbers<'a> {
        let mut numbers = Numbers::default();
        let before = [self.sent.get(media.index()), self.ours.get(media.index())].into_iter().flatten();
        let goes_on = |line: &&Media<'_>| !line.rejected() && line.kind().eq_ignore_ascii_case(media.kind());
        before.filter(goes_on).for_each(|line| numbers.remember_ours(line));
        numbers
    }
}

/// Whether an offered line, by position, is about a stream of ours, by position.
type Pass<'p> = &'p dyn Fn(usize, usize, &Stream) -> bool;

/// Which stream of ours each offered line is about, if one can take it.
fn places<'a>(wanted: &'a Wanted, offered: &[Media<'a>], past: &Past<'_>) -> Vec<Option<Taken<'a>>> {
    let mut places: Vec<Option<Taken<'a>>> = offered.iter().map(|_| None).collect();
    let passes: [Pass<'_>; 3] = [
        &|place, _, stream| {
            past.ours.get(place).is_some_and(|line| {
                line.port() == stream.port && MediaKind::parse(line.kind()) == stream.kind
            })
        },
        &|place, index, _| place == index,
        &|_, _, _| true,
    ];
    for pass in passes {
        for (place, media) in offered.iter().enumerate() {
            if media.port() == 0 || places.get(place).is_none_or(Option::is_some) {
                continue;
            }
            let taken = wanted.streams.iter().enumerate().find_map(|(index, stream)| {
                let free = !places.iter().flatten().any(|taken| taken.index == index);
                let suits = free && pass(place, index, stream);
                let formats = if suits { fit(wanted, stream, media).ok()? } else { return None };
                Some(Taken { index, stream, formats })
            });
            if let Some(slot) = places.get_mut(place) {
                *slot = taken;
            }
        }
    }
    places
}

fn why_not(wanted: &Wanted, media: &Media<'_>) -> Unacceptable {
    let kind = MediaKind::parse(media.kind());
    let reasons = wanted.streams.iter().filter(|stream| stream.live() && stream.kind == kind);
    reasons.filter_map(|stream| fit(wanted, stream, media).err()).next_back().unwrap_or_else(|| {
        Unacceptable { warning: 304, text: format!("Media type not available: {}", printable(media.kind())) }
    })
}

/// The formats both sides can use, with the offer's numbers in the offer's order, or why there are none.
fn fit<'a>(wanted: &Wanted, stream: &'a Stream, media: &Media<'a>) -> Result<Formats<'a>, Unacceptable> {
    let no = |warning, text: &str, what: &str| {
        Err(Unacceptable { warning, text: format!("{text}: {}", printable(what)) })
    };
    if !stream.live() || !media.kind().eq_ignore_ascii_case(stream.kind.as_str()) {
        return no(304, "Media type not available", media.kind());
    }
    if !stream.protocol.eq_ignore_ascii_case(media.protocol()) {
        return no(302, "Incompatible transport protocol", media.protocol());
    }
    if let Some(connection) = media.connection_data()
        && !connection.address_type.eq_ignore_ascii_case(family(stream.address.unwrap_or(wanted.address)))
    {
        return no(301, "Incompatible network address formats", connection.address_type);
    }
    let formats = common(stream, media);
    if formats.iter().all(Format::is_companion) {
        return no(305, "Incompatible media format", &media.formats().collect::<Vec<_>>().join(" "));
    }
    if secured(media) && media.crypto().next().is_some() && crypto(stream, media).is_none() {
        return no(305, "Incompatible media format", "no common crypto suite");
    }
    Ok(formats)
}

/// The formats both sides have: as this side wants them, with the offer's numbers, in the offer's order.
fn common<'a>(stream: &'a Stream, media: &Media<'a>) -> Formats<'a> {
    let ours = wished(stream);
    if !media.is_rtp() {
        let known = |format: &&str| ours.iter().any(|ours| ours.name.eq_ignore_ascii_case(format));
        return media.formats().filter(known).map(Format::named).collect();
    }
    let offered = explained(media);
    let mut taken = Formats::new();
    for format in &offered {
        let mine = ours.iter().find(|mine| mine.same(format));
        if let Some(mine) = mine.filter(|mine| !taken.iter().any(|taken| taken.same(mine))) {
            taken.push(Format { number: format.number, ..*mine });
        }
    }
    // DTMF at the clock of the audio taken; a peer that knows one clock only still gets its digits.
    let clocks: SmallVec<[u32; 4]> =
        taken.iter().filter(|format| !format.is_companion()).map(|format| format.clock).collect();
    taken.retain(|format| !format.is_telephone_event() || clocks.contains(&format.clock));
    if !taken.iter().any(Format::is_telephone_event)
        && let Some(mine) = ours.iter().find(|format| format.is_telephone_event())
        && let Some(theirs) = offered.iter().find(|format| format.is_telephone_event())
    {
        taken.push(Format { number: theirs.number, clock: theirs.clock, ..*mine });
        taken.sort_by_key(|format| offered.iter().position(|offered| offered.number == format.number));
    }
    taken
}

fn write_live(draft: &mut Draft<'_>, media: &Media<'_>, taken: Taken<'_>, past: &Past<'_>) {
    let Taken { stream, mut formats, .. } = taken;
    if media.is_rtp() {
        past.numbers(media).follow(&mut formats);
    }
    draft.live(stream, media.protocol(), &formats);
    draft.mid(media.mid());
    for attribute in stream.attributes.iter().filter_map(|attribute| adapted(attribute, media)) {
        draft.line(format_args!("a={attribute}"));
    }
    if let Some((offered, parameters)) = crypto(stream, media).filter(|_| secured(media)) {
        draft.line(format_args!("a=crypto:{} {} {parameters}", offered.tag, offered.suite));
    }
    // RFC 3264 §6.1: this side's wish as far as the offer lets it go.
    draft.direction(stream.wish().and(media.direction().reversed()), media.protocol());
}

/// An attribute of ours as it may stand in an answer to this stream, if it may.
fn adapted<'a>(attribute: &'a str, media: &Media<'_>) -> Option<&'a str> {
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    match name {
        // Those of the offer count; RFC 5888 §9.1, RFC 4568 §5.1.2.
        "mid" | "crypto" | "bundle-only" => None,
        // RFC 5761 §5.1.1 and RFC 8858 §4: only if offered, and never the demanding form.
        "rtcp-mux" => Some(attribute).filter(|_| media.has_attribute("rtcp-mux")),
        "rtcp-mux-only" => None,
        // RFC 5763 §5: an answer decides.
        "setup" => match media.inherited("setup")? {
            "active" => Some("setup:passive"),
            "passive" => Some("setup:active"),
            _ if value == "passive" => Some("setup:passive"),
            _ => Some("setup:active"),
        },
        _ => Some(attribute),
    }
}

fn secured(media: &Media<'_>) -> bool {
    media.protocol().to_ascii_uppercase().contains("RTP/SAVP")
}

/// The keys of an answer: the first suite offered that we have, and our parameters for it. RFC 4568 §5.1.2.
fn crypto<'a>(stream: &'a Stream, media: &Media<'a>) -> Option<(Crypto<'a>, &'a str)> {
    media.crypto().find_map(|offered| {
        let mut ours = stream.attributes.iter().filter_map(|a| Crypto::parse(a.strip_prefix("crypto:")?));
        Some((offered, ours.find(|ours| ours.suite == offered.suite)?.parameters))
    })
}

/// Peer text that may go into a quoted string.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| (c.is_ascii_graphic() || *c == ' ') && !matches!(c, '"' | '\\'))
        .take(60)
        .collect()
}
