//! Hold and resume. RFC 3264 §8.4, RFC 6337 §5.3.

use midcall_wire::sdp::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};

use super::super::{Hold, agreed};
use super::*;

#[test]
fn the_answer_is_the_own_wish_as_far_as_the_offer_goes() {
    crate::covers!("OA-23");
    #[rustfmt::skip]
    let table = [
        // offered, wanted, answered
        (SendRecv, SendRecv, SendRecv), (SendRecv, SendOnly, SendOnly), (SendRecv, RecvOnly, RecvOnly), (SendRecv, Inactive, Inactive),
        (SendOnly, SendRecv, RecvOnly), (SendOnly, SendOnly, Inactive), (SendOnly, RecvOnly, RecvOnly), (SendOnly, Inactive, Inactive),
        (RecvOnly, SendRecv, SendOnly), (RecvOnly, SendOnly, SendOnly), (RecvOnly, RecvOnly, Inactive), (RecvOnly, Inactive, Inactive),
        (Inactive, SendRecv, Inactive), (Inactive, SendOnly, Inactive), (Inactive, RecvOnly, Inactive), (Inactive, Inactive, Inactive),
    ];
    for (offered, wanted, answered) in table {
        let (mut alice, mut bob) = pair();
        alice.wanted.streams[0].direction = offered;
        bob.wanted.streams[0].direction = wanted;
        let (offer, answer) = exchange(&mut alice, &mut bob);
        assert_eq!(offer.media_at(0).unwrap().direction(), offered);
        assert_eq!(answer.media_at(0).unwrap().direction(), answered, "{offered} meets {wanted}");
    }
}

#[test]
fn each_start_state_has_its_hold() {
    crate::covers!("OA-34");
    for (start, held, silent) in [
        (SendRecv, SendOnly, Inactive),
        (SendOnly, SendOnly, Inactive),
        (RecvOnly, Inactive, Inactive),
        (Inactive, Inactive, Inactive),
    ] {
        let (mut alice, mut bob) = call();
        alice.wanted.direction(0, start);
        exchange(&mut alice, &mut bob);
        let before = alice.direction(0);
        alice.wanted.hold();
        assert!(alice.wanted.held());
        exchange(&mut alice, &mut bob);
        assert_eq!(alice.direction(0), held, "hold of {start}");
        alice.wanted.hold_silently();
        exchange(&mut alice, &mut bob);
        assert_eq!(alice.direction(0), silent, "silent hold of {start}");
        alice.wanted.resume();
        exchange(&mut alice, &mut bob);
        assert_eq!(alice.direction(0), before, "resume to {start}");
        assert!(!alice.wanted.held());
    }
}

#[test]
fn both_hold_and_resume_one_by_one() {
    crate::covers!("OA-36");
    let (mut alice, mut bob) = call();
    alice.wanted.hold();
    exchange(&mut alice, &mut bob);
    assert_eq!((alice.direction(0), bob.direction(0)), (SendOnly, RecvOnly));
    bob.wanted.hold();
    exchange(&mut bob, &mut alice);
    assert_eq!((bob.direction(0), alice.direction(0)), (SendOnly, Inactive));
    alice.wanted.resume();
    exchange(&mut alice, &mut bob);
    assert_eq!((alice.direction(0), bob.direction(0)), (SendRecv, SendOnly));
    bob.wanted.resume();
    exchange(&mut bob, &mut alice);
    assert_eq!((bob.direction(0), alice.direction(0)), (SendRecv, SendRecv));
}

#[test]
fn the_held_side_does_not_hold_back() {
    crate::covers!("OA-35");
    let (mut alice, mut bob) = call();
    alice.wanted.hold();
    exchange(&mut alice, &mut bob);
    assert_eq!(bob.direction(0), RecvOnly);
    assert!(!bob.wanted.held());
}

#[test]
fn one_stream_is_held_alone() {
    let mut alice = Party::new(1, [audio(4000), video(4002)]);
    let mut bob = Party::new(2, [audio(5000), video(5002)]);
    exchange(&mut alice, &mut bob);
    assert!(alice.wanted.hold_stream(1));
    assert!(alice.wanted.stream_held(1) && !alice.wanted.stream_held(0) && !alice.wanted.held());
    exchange(&mut alice, &mut bob);
    assert_eq!((alice.direction(0), alice.direction(1)), (SendRecv, SendOnly));
    assert!(alice.wanted.resume_stream(1));
    exchange(&mut alice, &mut bob);
    assert_eq!(alice.direction(1), SendRecv);
    assert!(!alice.wanted.hold_stream(2) && !alice.wanted.stream_held(2));
}

#[test]
fn the_zero_address_is_a_hold_but_never_ours() {
    crate::covers!("OA-38");
    let (mut alice, mut bob) = call();
    let zero =
        |sdp: &Sdp| Sdp::parse(sdp.to_string().replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0").as_bytes());
    let held = zero(&alice.offer()).unwrap();
    let answered = bob.answer(&held).unwrap();
    let media = answered.media_at(0).unwrap();
    // The direction follows the offer's a= line, the address is a real one. RFC 6337 §5.4.
    assert_eq!((media.direction(), media.connection()), (SendRecv, Some("192.0.2.2")));
    let session = agreed(&answered, &held);
    let stream = &session.streams[0];
    assert_eq!(stream.remote, Some(("0.0.0.0".to_owned(), 4000)));
    assert!(stream.held_by_peer && !stream.held_by_us && !stream.sends);

    for hold in [Hold::Sending, Hold::Silent] {
        alice.wanted.streams[0].hold = hold;
        assert!(!alice.offer().media_at(0).unwrap().is_black_hole());
    }
}

#[test]
fn who_holds_is_read_from_who_offered() {
    let held = |ours: Direction, theirs: Direction, offerer: Option<Offerer>| {
        let side = |direction| peer(&format!("m=audio 4000 RTP/AVP 0\na={direction}\n"));
        let session = match offerer {
            Some(offerer) => agreed_by(&side(ours), &side(theirs), offerer),
            None => agreed(&side(ours), &side(theirs)),
        };
        (session.streams[0].held_by_us, session.streams[0].held_by_peer)
    };
    let (us, they) = (Some(Offerer::Us), Some(Offerer::Peer));
    assert_eq!(held(SendRecv, SendRecv, us), (false, false));
    assert_eq!(held(SendOnly, RecvOnly, us), (true, false));
    assert_eq!(held(RecvOnly, SendOnly, they), (false, true));
    assert_eq!(held(Inactive, Inactive, us), (true, false));
    assert_eq!(held(Inactive, Inactive, they), (false, true));
    assert_eq!(held(Inactive, SendOnly, they), (true, true));
    assert_eq!(held(SendOnly, Inactive, us), (true, true));
    assert_eq!(held(SendRecv, SendOnly, us), (false, true));
    // One way from the start is nobody's hold.
    assert_eq!(held(RecvOnly, SendOnly, us), (false, false));
    // Without knowing who offered, both hold a stream that is off both ways.
    assert_eq!(held(Inactive, Inactive, None), (true, true));
    assert_eq!(held(SendOnly, RecvOnly, None), (true, false));
}

#[test]
fn a_direction_for_the_whole_session_counts() {
    crate::covers!("OA-24");
    let (_, mut bob) = pair();
    bob.wanted.streams.push(video(5002));
    let offer = Sdp::parse(
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\n\
          m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n\
          a=fmtp:97 packetization-mode=1\r\na=inactive\r\n",
    );
    let answer = bob.answer(&offer.unwrap()).unwrap();
    let directions: Vec<_> = answer.media().map(|media| media.direction()).collect();
    assert_eq!(directions, [RecvOnly, Inactive]);
}
