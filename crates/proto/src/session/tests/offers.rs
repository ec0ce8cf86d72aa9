//! What an offer says, and which numbers it uses.

use super::super::differs;
use super::*;

#[test]
fn a_first_offer_reads_as_expected() {
    crate::covers!("OA-44");
    let mut alice = Party::new(1, [audio(4000)]);
    alice.wanted.user = "alice".into();
    alice.wanted.streams[0].attributes.push("ptime:20".to_owned());
    assert_eq!(
        alice.offer().to_string(),
        "v=0\r\no=alice 1000 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn nothing_wanted_is_an_offer_without_streams() {
    crate::covers!("OA-22");
    let (mut alice, mut bob) = (Party::new(1, []), Party::new(2, [audio(5000)]));
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!((offered.media_count(), answered.media_count()), (0, 0));
    // The stream comes later, as in third-party call control.
    alice.wanted.add_stream(audio(4000));
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!((lines(&offered).len(), lines(&answered)), (1, vec!["audio 5000 RTP/AVP 8 0 101"]));
}

#[test]
fn streams_may_live_elsewhere() {
    let mut alice = Party::new(1, [audio(4000), video(4002)]);
    alice.wanted.move_to(1, [2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), 4004);
    let text = alice.offer().to_string();
    assert!(text.contains("m=video 4004 RTP/AVP 97\r\nc=IN IP6 7d1:db8::1\r\n"), "{text}");
    alice.wanted.move_to(1, [192, 0, 2, 1].into(), 4006);
    let text = alice.offer().to_string();
    assert!(text.contains("m=video 4006 RTP/AVP 97\r\na="), "{text}");
}

#[test]
fn a_number_keeps_its_codec() {
    crate::covers!("OA-27");
    let (mut alice, mut bob) = pair();
    let ilbc = Codec::new("iLBC", 8000);
    let speex = Codec::new("speex", 8000);
    for party in [&mut alice, &mut bob] {
        party.wanted.codecs(0, [ilbc.clone(), Codec::pcma()]);
    }
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&offered), ["audio 4000 RTP/AVP 96 8 101"]);
    // A new codec gets a new number, the old one keeps its own when it comes back.
    alice.wanted.codecs(0, [speex.clone(), Codec::pcma()]);
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&offered), ["audio 4000 RTP/AVP 102 8 101"]);
    alice.wanted.codecs(0, [speex, ilbc]);
    let offered = alice.offer();
    let media = offered.media_at(0).unwrap();
    assert_eq!(media.rtpmap("102").unwrap().name, "speex");
    assert!(media.rtpmap("96").is_none_or(|map| map.name == "iLBC"));
}

#[test]
fn the_peer_has_taken_the_number_we_would_like() {
    let (mut alice, mut bob) = pair();
    alice.wanted.codecs(0, [Codec::pcma(), Codec::new("speex", 16000).numbered(111)]);
    bob.wanted.codecs(0, [Codec::pcma()]);
    exchange(&mut alice, &mut bob);
    bob.wanted.codecs(0, [Codec::opus(), Codec::pcma()]);
    let (offered, _) = exchange(&mut bob, &mut alice);
    let media = offered.media_at(0).unwrap();
    assert!(media.rtpmap("111").is_none_or(|map| map.name != "opus"), "{offered}");
}

#[test]
fn no_number_has_two_meanings_in_one_stream() {
    let codecs = (0..40).map(|index| Codec::new(format!("codec{index}"), 8000).numbered(100));
    let mut alice = Party::new(1, [Stream::audio(4000, codecs)]);
    let offered = alice.offer();
    let mut numbers: Vec<_> = offered.media_at(0).unwrap().formats().collect();
    // There are 32 dynamic numbers; what does not fit is left out.
    assert_eq!(numbers.len(), 32);
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 32);
}

#[test]
fn dtmf_has_the_clock_of_the_audio() {
    crate::covers!("OA-57");
    let (mut alice, mut bob) = pair();
    for party in [&mut alice, &mut bob] {
        party.wanted.codecs(0, [Codec::opus(), Codec::pcma()]);
    }
    let (offered, answered) = exchange(&mut alice, &mut bob);
    for sdp in [&offered, &answered] {
        let media = sdp.media_at(0).unwrap();
        let maps: Vec<_> = media.formats().map(|format| media.rtpmap(format).unwrap().to_string()).collect();
        assert_eq!(maps, ["opus/48000/2", "PCMA/8000", "telephone-event/8000", "telephone-event/48000"]);
    }
    // Only the one that is needed, under the number it had.
    alice.wanted.codecs(0, [Codec::opus()]);
    let (narrowed, _) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&narrowed), ["audio 4000 RTP/AVP 111 96"]);
    assert_eq!(lines(&offered), ["audio 4000 RTP/AVP 111 8 101 96"]);
    alice.wanted.codecs(0, [Codec::pcma()]);
    let (back, _) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&back), ["audio 4000 RTP/AVP 8 101"]);
}

#[test]
fn an_offer_on_request_shares_a_format_with_what_is_in_use() {
    crate::covers!("OA-43");
    let (mut alice, mut bob) = call();
    alice.wanted.streams[0].codecs = vec![Codec::opus()];
    assert_eq!(lines(&alice.clone().offer()), ["audio 4000 RTP/AVP 111"]);
    let offered = alice.full_offer();
    assert_eq!(lines(&offered), ["audio 4000 RTP/AVP 111 8 0"]);
    let answered = bob.answer(&offered).unwrap();
    assert_eq!(lines(&answered), ["audio 5000 RTP/AVP 8 0"]);
}

#[test]
fn an_offer_on_request_names_every_codec_wanted() {
    let (mut alice, mut bob) = pair();
    bob.wanted.codecs(0, [Codec::g722(), Codec::opus(), Codec::pcma()]);
    exchange(&mut alice, &mut bob);
    let offered = bob.full_offer();
    assert_eq!(lines(&offered), ["audio 5000 RTP/AVP 9 111 8 101 102"]);
}

#[test]
fn no_line_gets_in_through_an_attribute() {
    let mut alice = Party::new(1, [audio(4000)]);
    alice.wanted.user = "a b\r\nm=audio 1 RTP/AVP 0".into();
    alice.wanted.streams[0].attributes.push("x\r\nm=audio 1 RTP/AVP 0".to_owned());
    let offered = alice.offer();
    assert_eq!(offered.media_count(), 1);
    assert_eq!(offered.origin().unwrap().username, "-");
}

#[test]
fn a_wish_that_is_fulfilled_does_not_differ() {
    let (mut alice, mut bob) = call();
    assert!(differs(&alice.wanted, Local::default()), "nothing is agreed yet");
    assert!(!differs(&alice.wanted, alice.local()));
    assert!(!differs(&bob.wanted, bob.local()));
    for change in [
        (|wanted| wanted.hold()) as fn(&mut Wanted),
        |wanted| wanted.hold_silently(),
        |wanted| assert!(wanted.codecs(0, [Codec::pcmu()])),
        |wanted| assert_eq!(wanted.add_stream(video(4002)), 1),
        |wanted| assert!(wanted.drop_stream(0)),
        |wanted| assert!(wanted.move_to(0, [192, 0, 2, 1].into(), 4010)),
        |wanted| wanted.move_address([203, 0, 113, 1].into()),
        |wanted| assert!(wanted.direction(0, Direction::RecvOnly)),
    ] {
        let mut wanted = alice.wanted.clone();
        change(&mut wanted);
        assert!(differs(&wanted, alice.local()), "{wanted:?}");
    }
    // A refused offer changes nothing about what is agreed.
    alice.wanted.hold();
    alice.offer();
    assert!(differs(&alice.wanted, alice.local()));
    exchange(&mut alice, &mut bob);
    assert!(!differs(&alice.wanted, alice.local()));
    // The peer's own hold came first: ours was in the answer already.
    bob.wanted.hold();
    exchange(&mut bob, &mut alice);
    assert_eq!(alice.direction(0), Direction::Inactive);
    assert!(!differs(&alice.wanted, alice.local()));
    alice.wanted.resume();
    assert!(differs(&alice.wanted, alice.local()));
}
