//! Making offers.

use midcall_wire::sdp::{Direction, Media, Sdp};

use super::formats::{Format, Formats, explained, wished};
use super::numbers::Numbers;
use super::write::{Draft, is_rtp};
use super::{Local, MediaKind, Stream, Wanted};

/// Derives an offer: what this side wants now, fitted to the session that exists. RFC 3264 §5, §8.
///
/// The state wanted is stated in full, whatever the peer said before (RFC 6337 §5.1). Every `m=` line of the
/// session keeps its place, streams nobody wants have port 0, new ones take the place of dead ones or go
/// below. If that is what was sent last, the result is that description, byte for byte.
///
/// ```
/// use midcall_proto::session::{Codec, Local, Stream, Wanted, offer};
///
/// let mut wanted = Wanted::new([192, 0, 2, 1].into(), 7);
/// wanted.add_stream(Stream::audio(4000, [Codec::pcma()]));
/// let first = offer(&wanted, Local::default());
/// let again = offer(&wanted, Local { last_sent: Some(&first), agreed: None });
/// assert_eq!(first, again);
/// ```
pub fn offer(wanted: &Wanted, local: Local<'_>) -> Sdp {
    draft(wanted, local, false)
}

/// Derives an offer for a peer that asked for one with an offerless INVITE. RFC 6337 §5.2.5.
///
/// As for a new call: all codecs, all streams, this side's own hold and nobody else's. What RFC 3261 §14.2 adds
/// is kept: a stream that goes on shares a format with what is in use.
pub fn full_offer(wanted: &Wanted, local: Local<'_>) -> Sdp {
    draft(wanted, local, true)
}

/// Whether an offer made now would change what is agreed.
///
/// Meant for a wish that had to wait: it is sent only if it still says something new. When it cannot be told,
/// for example after an answer that had to leave something out, the result is `true`.
pub fn differs(wanted: &Wanted, local: Local<'_>) -> bool {
    let Some((ours, theirs)) = local.agreed else { return true };
    let next = draft(wanted, Local { last_sent: Some(ours), agreed: local.agreed }, false);
    if next == *ours {
        return false;
    }
    let (mut now, mut then) = (ours.media(), next.media());
    let mut peer = theirs.media();
    loop {
        match (now.next(), then.next()) {
            (None, None) => return false,
            (Some(now), Some(then)) if !section_differs(&now, &then, peer.next().as_ref()) => {}
            _ => return true,
        }
    }
}

fn section_differs(now: &Media<'_>, then: &Media<'_>, peer: Option<&Media<'_>>) -> bool {
    if now.rejected() && then.rejected() {
        return false;
    }
    let same_line = now.line() == then.line() && now.connection() == then.connection();
    let bare = |media: &Media<'_>| -> Vec<_> {
        let lines = media.lines().skip(1).filter(|line| line.letter() == Some(b'a'));
        lines
            .filter(|line| line.attribute().is_none_or(|(name, _)| Direction::parse(name).is_none()))
            .map(|line| line.content().to_vec())
            .collect()
    };
    if !same_line || bare(now) != bare(then) {
        return true;
    }
    let theirs = peer.map(Media::direction).unwrap_or_default();
    // If theirs cannot have answered ours, ours answered theirs and may already hold all that is wanted.
    let answered = !now.direction().may_be_answered(theirs);
    let effective = if answered { then.direction().and(theirs.reversed()) } else { then.direction() };
    effective != now.direction()
}

fn draft(wanted: &Wanted, local: Local<'_>, overlap: bool) -> Sdp {
    let slots = Slots::new(local);
    let mut draft = Draft::new(wanted, local.last_sent);
    draft.line(format_args!("t=0 0"));
    for (place, stream) in slots.places(wanted, overlap).iter().enumerate() {
        let slot = slots.slots.get(place);
        let mid = slot.and_then(|slot| slot.ours).and_then(|media| media.mid());
        match stream.and_then(|index| wanted.streams.get(index)) {
            Some(stream) => write_live(&mut draft, stream, &slots, place, overlap),
            None => draft.dead(slot.and_then(Slot::line).as_ref(), mid),
        }
    }
    draft.finish()
}

fn write_live(draft: &mut Draft<'_>, stream: &Stream, slots: &Slots<'_>, place: usize, overlap: bool) {
    let slot = slots.slots.get(place);
    let mut formats = wished(stream);
    if is_rtp(&stream.protocol) {
        let continued = slot.filter(|slot| overlap && slot.is(&stream.kind) && !slot.dead());
        let ours = continued.and_then(|slot| slot.ours).map(|ours| explained(&ours));
        add_overlap(&mut formats, ours.as_deref().unwrap_or_default());
        slots.numbers(place, &stream.kind).assign(&mut formats);
    }
    draft.live(stream, &stream.protocol, &formats);
    if !stream.attributes.iter().any(|attribute| attribute.starts_with("mid:")) {
        draft.mid(slot.and_then(|slot| slot.ours).and_then(|media| media.mid()));
    }
    for attribute in &stream.attributes {
        draft.line(format_args!("a={attribute}"));
    }
    draft.direction(stream.wish(), &stream.protocol);
}

/// Adds what is in use if nothing of it would be offered. RFC 3261 §14.2.
fn add_overlap<'a>(formats: &mut Formats<'a>, current: &[Format<'a>]) {
    let current = || current.iter().filter(|format| !format.is_companion());
    if !current().any(|format| formats.iter().any(|other| other.same(format))) {
        formats.extend(current().copied());
    }
}

/// One place in the description and what stood there.
struct Slot<'a> {
    ours: Option<Media<'a>>,
    theirs: Option<Media<'a>>,
}

impl<'a> Slot<'a> {
    fn line(&self) -> Option<Media<'a>> {
        self.ours.or(self.theirs)
    }

    fn dead(&self) -> bool {
        let gone = |media: Option<Media<'_>>| media.is_none_or(|media| media.rejected());
        gone(self.ours) || gone(self.theirs)
    }

    fn is(&self, kind: &MediaKind) -> bool {
        self.line().is_some_and(|line| MediaKind::parse(line.kind()) == *kind)
    }
}

struct Slots<'a> {
    slots: Vec<Slot<'a>>,
    /// The lines of the last description sent, which may have been refused.
    sent: Vec<Media<'a>>,
}

/// Whether a place suits a stream: position of the place, what stood there, position of the stream, the stream.
type Pass<'p> = &'p dyn Fn(usize, &Slot<'_>, usize, &Stream) -> bool;

impl<'a> Slots<'a> {
    fn new(local: Local<'a>) -> Self {
        let all = |sdp: Option<&'a Sdp>| sdp.map(|sdp| sdp.media().collect::<Vec<_>>()).unwrap_or_default();
        let ours = all(local.agreed.map(|(ours, _)| ours));
        let theirs = all(local.agreed.map(|(_, theirs)| theirs));
        let slot = |at| Slot { ours: ours.get(at).copied(), theirs: theirs.get(at).copied() };
        let slots = (0..ours.len().max(theirs.len())).map(slot).collect();
        Self { slots, sent: all(local.last_sent) }
    }

    /// What the numbers at a place have stood for.
    fn numbers(&self, place: usize, kind: &MediaKind) -> Numbers<'a> {
        let mut numbers = Numbers::default();
        let slot = self.slots.get(place);
        let same = |media: &&Media<'_>| MediaKind::parse(media.kind()) == *kind;
        let ours = slot.and_then(|slot| slot.ours.as_ref());
        let theirs = slot.and_then(|slot| slot.theirs.as_ref());
        let mine = self.sent.get(place).into_iter().chain(ours);
        mine.filter(same).for_each(|media| numbers.remember_ours(media));
        theirs.into_iter().filter(same).for_each(|media| numbers.remember_theirs(media));
        numbers
    }

    /// Which stream goes where. RFC 3264 §8.1: a stream keeps its place, a new one takes a dead place or the end.
    fn places(&self, wanted: &Wanted, all: bool) -> Vec<Option<usize>> {
        let mut places: Vec<Option<usize>> = vec![None; self.slots.len()];
        let offered = |(_, stream): &(usize, &Stream)| stream.live() && (all || !stream.declined);
        let live: Vec<_> = wanted.streams.iter().enumerate().filter(offered).collect();
        let passes: [Pass<'_>; 5] = [
            &|_, slot, _, stream| {
                !slot.dead()
                    && slot.is(&stream.kind)
                    && slot.ours.is_some_and(|line| line.port() == stream.port)
            },
            &|place, slot, index, stream| place == index && slot.is(&stream.kind),
            &|_, slot, _, stream| slot.is(&stream.kind),
            &|place, _, index, _| place == index,
            &|_, slot, _, _| slot.dead(),
        ];
        for pass in passes {
            for (index, stream) in &live {
                if places.contains(&Some(*index)) {
                    continue;
                }
                let free = self.slots.iter().enumerate().position(|(place, slot)| {
                    places.get(place) == Some(&None) && pass(place, slot, *index, stream)
                });
                if let Some(place) = free.and_then(|place| places.get_mut(place)) {
                    *place = Some(*index);
                }
            }
        }
        for (index, _) in &live {
            if !places.contains(&Some(*index)) {
                places.push(Some(*index));
            }
        }
        places
    }
}
