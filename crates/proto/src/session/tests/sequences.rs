//! Random calls: whatever the two sides want, every description fits the ones before.

use proptest::prelude::*;

use super::super::{agreed, decline};
use super::*;

/// Something one side does.
#[derive(Clone, Debug)]
enum Step {
    Hold(usize),
    HoldSilently,
    Resume,
    ResumeStream(usize),
    Codecs(usize, Vec<Codec>),
    Direct(usize, Direction),
    Add(Stream),
    Drop(usize),
    Move(usize, u8, u16),
    /// An offer is sent and answered.
    Offer,
    /// An offer is asked for, sent and answered.
    OfferAsked,
    /// An offer is sent and refused.
    Refused,
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![
        Just(Codec::pcma()),
        Just(Codec::pcmu()),
        Just(Codec::g722()),
        Just(Codec::opus()),
        Just(Codec::telephone_event()),
        Just(Codec::new("speex", 16000)),
        Just(Codec::new("iLBC", 8000).numbered(97)),
        Just(Codec::new("AMR", 8000).numbered(97)),
        Just(Codec::new("AMR", 8000).numbered(98).with_fmtp("octet-align=1")),
        Just(Codec::new("H264", 90_000).numbered(111)),
        Just(Codec::new("VP8", 90_000)),
    ]
}

fn codecs() -> impl Strategy<Value = Vec<Codec>> {
    prop::collection::vec(codec(), 1..6)
}

fn stream() -> impl Strategy<Value = Stream> {
    (prop_oneof![Just("audio"), Just("video"), Just("image")], 1..30_u16, codecs()).prop_map(
        |(kind, port, codecs)| {
            let kind = super::super::MediaKind::parse(kind);
            let port = 3000 + 2 * port;
            match &kind {
                super::super::MediaKind::Other(_) => {
                    Stream { protocol: "udptl".into(), ..Stream::new(kind, port, [Codec::t38()]) }
                }
                _ => Stream::new(kind, port, codecs),
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..4_usize;
    let way = (0..4_usize).prop_map(|way| Direction::ALL[way]);
    prop_oneof![
        1 => place.clone().prop_map(Step::Hold),
        1 => Just(Step::HoldSilently),
        1 => Just(Step::Resume),
        1 => place.clone().prop_map(Step::ResumeStream),
        1 => (place.clone(), codecs()).prop_map(|(place, codecs)| Step::Codecs(place, codecs)),
        1 => (place.clone(), way).prop_map(|(place, way)| Step::Direct(place, way)),
        1 => stream().prop_map(Step::Add),
        1 => place.clone().prop_map(Step::Drop),
        1 => (place, 1..200_u8, 1..60_000_u16).prop_map(|(place, host, port)| Step::Move(place, host, port)),
        6 => Just(Step::Offer),
        2 => Just(Step::OfferAsked),
        2 => Just(Step::Refused),
    ]
}

/// Two streams never share a port.
fn in_use(wanted: &Wanted, port: u16) -> bool {
    wanted.streams.iter().any(|stream| stream.port == port)
}

fn party(host: u8, streams: Vec<Stream>) -> Party {
    let ports = (10_000_u16..).step_by(2);
    Party::new(host, streams.into_iter().zip(ports).map(|(stream, port)| Stream { port, ..stream }))
}

fn run(from: &mut Party, to: &mut Party, step: Step) {
    let wanted = &mut from.wanted;
    // A wish about a place that is not there changes nothing.
    let _ = match step {
        Step::Hold(place) => wanted.hold_stream(place),
        Step::ResumeStream(place) => wanted.resume_stream(place),
        Step::Codecs(place, codecs) => wanted.codecs(place, codecs),
        Step::Direct(place, way) => wanted.direction(place, way),
        Step::Drop(place) => wanted.drop_stream(place),
        Step::Move(_, _, port) if in_use(wanted, port) => false,
        Step::Move(place, host, port) => wanted.move_to(place, [203, 0, 113, host].into(), port),
        Step::Add(stream) if in_use(wanted, stream.port) => false,
        Step::Add(stream) => wanted.add_stream(stream) < wanted.streams.len(),
        Step::HoldSilently => {
            wanted.hold_silently();
            true
        }
        Step::Resume => {
            wanted.resume();
            true
        }
        Step::Offer => offered(from, to, false),
        Step::OfferAsked => offered(from, to, true),
        Step::Refused => from.offer().media_count() > 0,
    };
}

/// One exchange; whether the offer was taken.
fn offered(from: &mut Party, to: &mut Party, asked: bool) -> bool {
    let make = if asked { Party::full_offer } else { Party::offer };
    let before = from.lines();
    let offer = make(from);
    assert!(offer.media_count() >= before, "lines were lost");
    assert_eq!(make(from), offer, "the same wish is the same description");
    let Ok(answer) = to.answer(&offer) else {
        // Refused; if it could not be, port 0 on every line would do.
        let declined = decline(&to.wanted, &offer, to.local());
        assert_eq!(check_answer(&offer, &declined), []);
        return false;
    };
    from.settle(&offer, &answer);
    // An offer on request may have to add what is in use.
    if !asked && offer.media().zip(answer.media()).all(|(_, answered)| !answered.rejected()) {
        assert!(
            !super::super::differs(&from.wanted, from.local()),
            "an offer that was taken is what was wanted"
        );
    }
    for (ours, theirs) in [(&offer, &answer), (&answer, &offer)] {
        for (stream, media) in agreed(ours, theirs).streams.iter().zip(ours.media()) {
            assert_eq!(stream.is_on(), !media.rejected() && stream.remote.is_some());
            assert!(!stream.is_on() || !media.is_rtp() || !stream.send.is_empty(), "nothing can be sent");
        }
    }
    true
}

proptest! {
    #[test]
    fn every_description_fits_the_ones_before(
        first in prop::collection::vec(stream(), 0..3),
        second in prop::collection::vec(stream(), 0..3),
        steps in prop::collection::vec((any::<bool>(), step()), 1..40),
    ) {
        let (mut alice, mut bob) = (party(1, first), party(2, second));
        for (alices, step) in steps {
            match alices {
                true => run(&mut alice, &mut bob, step),
                false => run(&mut bob, &mut alice, step),
            }
        }
    }

    #[test]
    fn versions_step_by_none_or_one(steps in prop::collection::vec(step(), 1..40)) {
        let (mut alice, mut bob) = call();
        for step in steps {
            let before = alice.last_sent.clone().unwrap();
            run(&mut alice, &mut bob, step);
            let after = alice.last_sent.clone().unwrap();
            let grown = version(&after) - version(&before);
            prop_assert_eq!(grown, u64::from(after != before));
        }
    }

    #[test]
    fn any_offer_gets_an_answer_that_fits_or_a_reason(
        media in "(m=(audio|video|image|x) [0-9]{1,4}(/2)? (RTP/AVP|RTP/SAVP|udptl)( [0-9]{1,3}){0,5}\n(a=rtpmap:[0-9]{1,3} (PCMA|opus|telephone-event)/(8000|48000)(/2)?\n|a=(sendonly|inactive|recvonly|bundle-only|mid:1|rtcp-mux|setup:actpass)\n|c=IN IP[46] [0-9.:]{3,9}\n){0,5}){0,4}",
        streams in prop::collection::vec(stream(), 0..3),
    ) {
        let Ok(offer) = Sdp::parse(peer("").to_string().as_bytes()).and_then(|head| {
            Sdp::parse(format!("{head}{media}").as_bytes())
        }) else { return Ok(()) };
        let mut bob = party(2, streams);
        match bob.answer(&offer) {
            Ok(answer) => prop_assert_eq!(answer.media_count(), offer.media_count()),
            Err(refusal) => prop_assert!((300..400).contains(&refusal.warning)),
        }
    }

    #[test]
    fn any_two_descriptions_can_be_compared(ours in "[ -~\n]{0,80}", theirs in "(m=audio [0-9]{1,5} RTP/AVP [0-9 ]{0,9}\n(a=[a-z:0-9 /]{0,20}\n){0,3}){0,3}") {
        let parse = |text: &str| Sdp::parse(format!("v=0\no=- 1 2 IN IP4 192.0.2.1\n{text}").as_bytes());
        let (Ok(ours), Ok(theirs)) = (parse(&ours), parse(&theirs)) else { return Ok(()) };
        for (one, other) in [(&ours, &theirs), (&theirs, &ours), (&theirs, &theirs)] {
            let _ = (check_answer(one, other), check_next(one, 1, other), agreed(one, other));
            let party = Party { last_sent: Some(one.clone()), agreed: Some((one.clone(), other.clone())), ..pair().0 };
            let _ = (offer(&party.wanted, party.local()), answer(&party.wanted, other, party.local()));
        }
    }
}
