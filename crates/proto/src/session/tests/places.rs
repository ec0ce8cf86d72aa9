//! Which stream stands where. RFC 3264 §8.1 to §8.3.

use super::super::MediaKind;
use super::*;

fn av(host: u8, port: u16) -> Party {
    Party::new(host, [audio(port), video(port + 2)])
}

fn kinds(sdp: &Sdp) -> Vec<(&str, u16)> {
    sdp.media().map(|media| (media.kind(), media.port())).collect()
}

#[test]
fn a_dropped_stream_comes_back_in_its_place() {
    crate::covers!("OA-19");
    let (mut alice, mut bob) = (av(1, 4000), av(2, 5000));
    exchange(&mut alice, &mut bob);
    alice.wanted.drop_stream(1);
    let (_, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&answered), [("audio", 5000), ("video", 0)]);
    assert_eq!(alice.wanted.add_stream(video(4008)), 1);
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&offered), [("audio", 4000), ("video", 4008)]);
    assert_eq!(kinds(&answered), [("audio", 5000), ("video", 5002)]);
}

#[test]
fn a_dead_place_takes_another_type() {
    let (mut alice, mut bob) = (av(1, 4000), av(2, 5000));
    exchange(&mut alice, &mut bob);
    alice.wanted.drop_stream(1);
    exchange(&mut alice, &mut bob);
    let text = || Stream {
        codecs: vec![Codec::new("t140", 1000).numbered(98)],
        ..Stream::new(MediaKind::Other("text".into()), 4010, [])
    };
    assert_eq!(alice.wanted.add_stream(text()), 1);
    bob.wanted.streams[1] = text();
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&offered), [("audio", 4000), ("text", 4010)]);
    assert_eq!(kinds(&answered), [("audio", 5000), ("text", 4010)]);
}

#[test]
fn a_new_stream_goes_below() {
    let (mut alice, mut bob) = call();
    bob.wanted.add_stream(video(5002));
    assert_eq!(alice.wanted.add_stream(video(4002)), 1);
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&offered), [("audio", 4000), ("video", 4002)]);
}

#[test]
fn a_place_turns_into_a_fax() {
    crate::covers!("OA-42");
    let (mut alice, mut bob) = call();
    let fax = |port| Stream {
        protocol: "udptl".into(),
        attributes: vec!["T38FaxVersion:0".to_owned(), "T38FaxUdpEC:t38UDPRedundancy".to_owned()],
        ..Stream::new(MediaKind::Other("image".into()), port, [Codec::t38()])
    };
    // The called side turns the call into a fax.
    bob.wanted.streams[0] = fax(5000);
    alice.wanted.streams[0] = fax(4000);
    let (offered, answered) = exchange(&mut bob, &mut alice);
    assert_eq!(lines(&offered), ["image 5000 udptl t38"]);
    assert_eq!(lines(&answered), ["image 4000 udptl t38"]);
    assert!(!offered.to_string().contains("sendrecv"));
    // And back.
    bob.wanted.streams[0] = audio(5000);
    alice.wanted.streams[0] = audio(4000);
    let (offered, answered) = exchange(&mut bob, &mut alice);
    assert_eq!(lines(&offered), ["audio 5000 RTP/AVP 8 0 101"]);
    assert_eq!(lines(&answered), ["audio 4000 RTP/AVP 8 0 101"]);
}

#[test]
fn the_peer_has_its_streams_in_another_order() {
    let (mut alice, mut bob) = (Party::new(1, [video(4002), audio(4000)]), av(2, 5000));
    let (_, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&answered), [("video", 5002), ("audio", 5000)]);
    // Bob's own offers keep that order.
    bob.wanted.hold();
    let (offered, _) = exchange(&mut bob, &mut alice);
    assert_eq!(kinds(&offered), [("video", 5002), ("audio", 5000)]);
}

#[test]
fn lines_the_peer_added_and_we_refused_stay() {
    let (mut alice, mut bob) = call();
    alice.wanted.add_stream(video(4002));
    alice.wanted.add_stream(Stream::audio(4004, [Codec::g722()]));
    let (_, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&answered), [("audio", 5000), ("video", 0), ("audio", 0)]);
    let (offered, _) = exchange(&mut bob, &mut alice);
    assert_eq!(kinds(&offered), [("audio", 5000), ("video", 0), ("audio", 0)]);
    // Bob adds video: the refused place of that type is the right one.
    bob.wanted.add_stream(video(5002));
    let (offered, answered) = exchange(&mut bob, &mut alice);
    assert_eq!(kinds(&offered), [("audio", 5000), ("video", 5002), ("audio", 0)]);
    assert_eq!(kinds(&answered), [("audio", 4000), ("video", 4002), ("audio", 0)]);
}

#[test]
fn a_refused_offer_leaves_no_lines_behind() {
    crate::covers!("OA-15");
    let (mut alice, mut bob) = call();
    alice.wanted.add_stream(video(4002));
    let refused = alice.offer();
    assert_eq!(refused.media_count(), 2);
    alice.wanted.drop_stream(1);
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert_eq!(offered.media_count(), 1);
    assert_eq!(version(&offered), version(&refused) + 1);
}

#[test]
fn everything_is_dropped_and_comes_back() {
    let (mut alice, mut bob) = (av(1, 4000), av(2, 5000));
    exchange(&mut alice, &mut bob);
    alice.wanted.drop_stream(0);
    alice.wanted.drop_stream(1);
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&offered), [("audio", 0), ("video", 0)]);
    assert_eq!(kinds(&answered), [("audio", 0), ("video", 0)]);
    // Asked for an offer, bob revives what he still wants. RFC 6337 §5.2.5.
    alice.wanted.streams[0].enabled = true;
    let (offered, answered) = exchange_asked(&mut bob, &mut alice);
    assert_eq!(kinds(&offered), [("audio", 5000), ("video", 5002)]);
    assert_eq!(kinds(&answered), [("audio", 4000), ("video", 0)]);
}

#[test]
fn two_streams_of_one_type_do_not_swap() {
    let two = |host, port| Party::new(host, [audio(port), audio(port + 2)]);
    let (mut alice, mut bob) = (two(1, 4000), two(2, 5000));
    exchange(&mut alice, &mut bob);
    alice.wanted.drop_stream(0);
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&offered), [("audio", 0), ("audio", 4002)]);
    assert_eq!(kinds(&answered), [("audio", 0), ("audio", 5002)]);
    alice.wanted.streams[0].enabled = true;
    let (offered, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(kinds(&offered), [("audio", 4000), ("audio", 4002)]);
    assert_eq!(kinds(&answered), [("audio", 5000), ("audio", 5002)]);
}
