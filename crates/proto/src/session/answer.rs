//! Making answers.

use std::fmt;

use midcall_wire::sdp::{Media, Sdp};

use super::numbers::{Numbers, explained, written_codecs};
use super::offer::{direction_line, explain, is_rtp};
use super::write::{Section, family, write};
use super::{Codec, Local, MediaKind, Stream, Wanted};

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
    let offered: Vec<_> = offer.media().collect();
    let past = Past::new(local);
    let places = places(wanted, &offered, &past);
    let mut refusal = None;
    let mut accepted = 0;
    let mut sections = Vec::with_capacity(offered.len());
    for (media, place) in offered.iter().zip(&places) {
        let taken = place
            .and_then(|index| wanted.streams.get(index))
            .map(|stream| (stream, fit(wanted, stream, media)));
        match taken {
            Some((stream, Ok(formats))) => {
                accepted += 1;
                sections.push(live_section(stream, media, &past, &formats));
            }
            _ => {
                if !media.rejected() {
                    refusal.get_or_insert_with(|| why_not(wanted, media));
                }
                sections.push(dead_section(media));
            }
        }
    }
    match refusal {
        Some(refusal) if accepted == 0 => Err(refusal),
        _ => Ok(write(wanted, &times(offer), &sections, local.last_sent)),
    }
}

/// Answers an offer with port 0 on every line, where it cannot be refused. RFC 6337 §5.2.4.
///
/// That is an offer in a response: it must be answered validly before the call is ended.
pub fn decline(wanted: &Wanted, offer: &Sdp, local: Local<'_>) -> Sdp {
    let sections: Vec<_> = offer.media().map(|media| dead_section(&media)).collect();
    write(wanted, &times(offer), &sections, local.last_sent)
}

/// RFC 3264 §6: the times of an answer are those of the offer.
fn times(offer: &Sdp) -> Vec<String> {
    let lines = offer.session_lines().filter(|line| matches!(line.letter(), Some(b't' | b'r' | b'z')));
    let mut times: Vec<_> =
        lines.filter_map(|line| Some(std::str::from_utf8(line.content()).ok()?.to_owned())).collect();
    if times.is_empty() {
        times.push("t=0 0".to_owned());
    }
    times
}

/// What this side said before, by position.
struct Past<'a> {
    ours: Vec<Media<'a>>,
    sent: Vec<Media<'a>>,
}

impl<'a> Past<'a> {
    fn new(local: Local<'a>) -> Self {
        let all = |sdp: Option<&'a Sdp>| sdp.map(|sdp| sdp.media().collect()).unwrap_or_default();
        Self { ours: all(local.agreed.map(|(ours, _)| ours)), sent: all(local.last_sent) }
    }

    /// What the numbers of a stream stood for, if it goes on.
    fn numbers(&self, media: &Media<'_>) -> Numbers {
        let mut numbers = Numbers::default();
        let before = [self.sent.get(media.index()), self.ours.get(media.index())].into_iter().flatten();
        let goes_on = |line: &&Media<'_>| !line.rejected() && line.kind().eq_ignore_ascii_case(media.kind());
        before.filter(goes_on).for_each(|line| numbers.remember_ours(line));
        numbers
    }
}

/// Whether an offered line, by position, is about a stream of ours, by position.
type Pass<'p> = &'p dyn Fn(usize, usize, &Stream) -> bool;

/// Which stream of ours each offered line is about.
fn places(wanted: &Wanted, offered: &[Media<'_>], past: &Past<'_>) -> Vec<Option<usize>> {
    let mut places: Vec<Option<usize>> = vec![None; offered.len()];
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
            if media.port() == 0 || places.get(place) != Some(&None) {
                continue;
            }
            let stream = wanted.streams.iter().enumerate().position(|(index, stream)| {
                !places.contains(&Some(index))
                    && pass(place, index, stream)
                    && fit(wanted, stream, media).is_ok()
            });
            if let Some(slot) = places.get_mut(place) {
                *slot = stream;
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
fn fit(wanted: &Wanted, stream: &Stream, media: &Media<'_>) -> Result<Vec<(u8, Codec)>, Unacceptable> {
    let no = |warning, text: &str, what: &str| {
        Err(Unacceptable { warning, text: format!("{text}: {}", printable(what)) })
    };
    if !stream.live() || MediaKind::parse(media.kind()) != stream.kind {
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
    if formats.iter().all(|(_, codec)| codec.is_companion()) {
        return no(305, "Incompatible media format", &media.formats().collect::<Vec<_>>().join(" "));
    }
    if secured(media) && media.crypto().next().is_some() && crypto(stream, media).is_none() {
        return no(305, "Incompatible media format", "no common crypto suite");
    }
    Ok(formats)
}

/// The formats both sides have, with the offer's numbers, in the offer's order.
fn common(stream: &Stream, media: &Media<'_>) -> Vec<(u8, Codec)> {
    let ours = written_codecs(stream);
    if !media.is_rtp() {
        let known = |format: &&str| ours.iter().any(|codec| codec.name.eq_ignore_ascii_case(format));
        return media.formats().filter(known).map(|format| (0, Codec::new(format, 0))).collect();
    }
    let offered = explained(media);
    let mut taken: Vec<(usize, Codec)> = Vec::new();
    for (place, (_, codec)) in offered.iter().enumerate() {
        let mine = ours.iter().find(|mine| mine.same(codec));
        if let Some(mine) = mine.filter(|mine| !taken.iter().any(|(_, taken)| taken.same(mine))) {
            taken.push((place, mine.clone()));
        }
    }
    // DTMF at the clock of the audio taken; a peer that knows one clock only still gets its digits.
    let clocks: Vec<u32> =
        taken.iter().filter(|(_, codec)| !codec.is_companion()).map(|(_, codec)| codec.clock).collect();
    taken.retain(|(_, codec)| !codec.is_telephone_event() || clocks.contains(&codec.clock));
    if !taken.iter().any(|(_, codec)| codec.is_telephone_event())
        && let Some(event) = ours.iter().find(|codec| codec.is_telephone_event())
        && let Some(place) = offered.iter().position(|(_, codec)| codec.is_telephone_event())
        && let Some((_, codec)) = offered.get(place)
    {
        taken.push((place, Codec { clock: codec.clock, ..event.clone() }));
        taken.sort_by_key(|(place, _)| *place);
    }
    let numbered = taken.into_iter().filter_map(|(place, codec)| Some((offered.get(place)?.0, codec)));
    numbered.collect()
}

fn live_section(stream: &Stream, media: &Media<'_>, past: &Past<'_>, common: &[(u8, Codec)]) -> Section {
    let rtp = is_rtp(&stream.protocol);
    let (mut formats, mut lines) = (Vec::new(), Vec::new());
    if rtp {
        for (number, codec) in past.numbers(media).follow(common) {
            explain(&mut lines, &number.to_string(), &codec);
            formats.push(number.to_string());
        }
    } else {
        formats.extend(common.iter().map(|(_, codec)| codec.name.clone()));
    }
    lines.extend(media.mid().map(|mid| format!("a=mid:{mid}")));
    lines.extend(stream.attributes.iter().filter_map(|attribute| adapted(attribute, media)));
    lines.extend(crypto(stream, media).filter(|_| secured(media)));
    // RFC 3264 §6.1: this side's wish as far as the offer lets it go.
    lines.extend(direction_line(stream.wish().and(media.direction().reversed()), rtp));
    Section {
        kind: media.kind().to_owned(),
        port: stream.port,
        protocol: media.protocol().to_owned(),
        formats,
        address: stream.address,
        lines,
    }
}

fn dead_section(media: &Media<'_>) -> Section {
    let mut formats: Vec<_> = media.formats().map(str::to_owned).collect();
    if formats.is_empty() {
        formats.push("0".to_owned());
    }
    Section {
        kind: media.kind().to_owned(),
        port: 0,
        protocol: media.protocol().to_owned(),
        formats,
        address: None,
        lines: media.mid().map(|mid| format!("a=mid:{mid}")).into_iter().collect(),
    }
}

/// An attribute of ours as it may stand in an answer to this stream, if it may.
fn adapted(attribute: &str, media: &Media<'_>) -> Option<String> {
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    match name {
        // The offer's own; RFC 5888 §9.1.
        "mid" | "crypto" | "bundle-only" => None,
        // RFC 5761 §5.1.1 and RFC 8858 §4: only if offered, and never the demanding form.
        "rtcp-mux" => media.has_attribute("rtcp-mux").then(|| format!("a={attribute}")),
        "rtcp-mux-only" => None,
        // RFC 5763 §5: an answer decides.
        "setup" => match media.inherited("setup")? {
            "active" => Some("a=setup:passive".to_owned()),
            "passive" => Some("a=setup:active".to_owned()),
            _ if value == "passive" => Some("a=setup:passive".to_owned()),
            _ => Some("a=setup:active".to_owned()),
        },
        _ => Some(format!("a={attribute}")),
    }
}

fn secured(media: &Media<'_>) -> bool {
    media.protocol().to_ascii_uppercase().contains("RTP/SAVP")
}

/// The one key line of an answer: the first offered suite we have, under the offer's tag. RFC 4568 §5.1.2.
fn crypto(stream: &Stream, media: &Media<'_>) -> Option<String> {
    let own = |suite: &str| {
        stream.attributes.iter().find_map(|attribute| {
            let crypto = midcall_wire::sdp::Crypto::parse(attribute.strip_prefix("crypto:")?)?;
            (crypto.suite == suite).then_some(crypto.parameters)
        })
    };
    media.crypto().find_map(|offered| {
        let parameters = own(offered.suite)?;
        Some(format!("a=crypto:{} {} {parameters}", offered.tag, offered.suite))
    })
}

/// Peer text that may go into a quoted string.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| (c.is_ascii_graphic() || *c == ' ') && !matches!(c, '"' | '\\'))
        .take(60)
        .collect()
}
