//! Calls that broke in the field, each as the symptom was reported.

use midcall_wire::sdp::Direction::{Inactive, RecvOnly, SendOnly, SendRecv};

use super::super::{Fault, agreed};
use super::*;

/// O1. A refused offer has used up its version, also when the next one restores what was there before.
#[test]
fn changed_description_with_an_old_version_is_ignored_by_the_peer() {
    crate::covers!("OA-29", "OA-31");
    let (mut alice, mut bob) = call();
    let before = alice.last_sent.clone().unwrap();
    alice.wanted.hold();
    let refused = alice.offer();
    assert_eq!(version(&refused), version(&before) + 1);
    // 488: the session stays, the version is gone.
    alice.wanted.resume();
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert_eq!(version(&offered), version(&before) + 2);
    assert!(offered.same_but_version(&before));
    // And the next change again counts from the last one sent.
    alice.wanted.codecs(0, [Codec::pcmu()]);
    assert_eq!(version(&alice.offer()), version(&before) + 3);
}

/// O2. A refresh of an unchanged session is the same description, byte for byte.
#[test]
fn version_bumped_though_nothing_changed() {
    crate::covers!("OA-30");
    let (mut alice, mut bob) = call();
    let (first, answered) = exchange(&mut alice, &mut bob);
    let (again, repeated) = exchange(&mut alice, &mut bob);
    assert_eq!((first, answered), (again, repeated));
    assert_eq!(alice.full_offer(), alice.agreed.clone().unwrap().0);
}

/// O3. Another number for the same codec is a change too.
#[test]
fn payload_type_changed_but_version_kept() {
    let (mut alice, _) = call();
    let before = alice.last_sent.clone().unwrap();
    let renumbered = |version: u64| {
        let text =
            before.to_string().replace("101", "102").replace(" 1000 1 IN", &format!(" 1000 {version} IN"));
        Sdp::parse(text.as_bytes()).unwrap()
    };
    assert_eq!(check_next(&before, 1, &renumbered(1)), [Fault::VersionKept]);
    assert!(check_next(&before, 1, &renumbered(2)).is_empty());
    alice.wanted.streams[0].codecs[2] = Codec::new("telephone-event", 8000).numbered(102).with_fmtp("0-16");
    assert_eq!(alice.offer(), before, "the number of a codec stays for the session");
}

/// O4. The session keeps its number and its address in `o=`, whatever happens to the call.
#[test]
fn session_id_changes_with_each_offer() {
    let (mut alice, mut bob) = call();
    let before = alice.last_sent.clone().unwrap();
    alice.wanted.session_id = 999;
    alice.wanted.user = "someone".into();
    alice.wanted.move_address([203, 0, 113, 9].into());
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert!(offered.origin().unwrap().same_session(&before.origin().unwrap()));
    assert_eq!(offered.media_at(0).unwrap().connection(), Some("203.0.113.9"));
}

/// O5. A stream that is gone keeps its line.
#[test]
fn refused_lines_are_dropped_or_reordered() {
    crate::covers!("OA-17", "OA-18", "OA-20", "OA-45");
    let mut alice = Party::new(1, [audio(4000), video(4002)]);
    let mut bob = Party::new(2, [audio(5000)]);
    let (_, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&answered), ["audio 5000 RTP/AVP 8 0 101", "video 0 RTP/AVP 97"]);
    let (offered, answered) = exchange(&mut bob, &mut alice);
    assert_eq!(lines(&offered), ["audio 5000 RTP/AVP 8 0 101", "video 0 RTP/AVP 97"]);
    assert_eq!(lines(&answered), ["audio 4000 RTP/AVP 8 0 101", "video 0 RTP/AVP 97"]);
    assert!(alice.wanted.drop_stream(1));
    let (offered, _) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&offered), ["audio 4000 RTP/AVP 8 0 101", "video 0 RTP/AVP 97"]);
}

/// H1. A hold that is answered as if it were none is seen, and ours is never answered so.
#[test]
fn no_audio_after_resume() {
    let (mut alice, mut bob) = call();
    alice.wanted.hold();
    let hold = alice.offer();
    let cached = bob.last_sent.clone().unwrap();
    let stubborn = Fault::Direction { stream: 0, offered: SendOnly, answered: SendRecv };
    assert_eq!(check_answer(&hold, &cached), [stubborn]);
    let answered = bob.answer(&hold).unwrap();
    alice.settle(&hold, &answered);
    assert_eq!(bob.direction(0), RecvOnly);
    alice.wanted.resume();
    let (offered, answered) = exchange(&mut alice, &mut bob);
    let session = agreed(&answered, &offered);
    assert!(session.streams[0].sends && session.streams[0].receives);
}

/// H2. The last line counts although nothing ends it.
#[test]
fn direction_lost_on_a_last_line_without_newline() {
    let (_, mut bob) = pair();
    let hold = peer("m=audio 4000 RTP/AVP 0\na=sendonly");
    assert!(!hold.as_bytes().ends_with(b"\n"));
    let answer = bob.answer(&hold).unwrap();
    assert_eq!(answer.media_at(0).unwrap().direction(), RecvOnly);
}

/// H3. Asked for an offer, the held side states what it wants, not what it was left with.
#[test]
fn held_forever_by_a_third_party() {
    crate::covers!("OA-37");
    let (mut alice, mut bob) = call();
    alice.wanted.hold();
    exchange(&mut alice, &mut bob);
    assert_eq!(bob.direction(0), RecvOnly);
    let (offered, answered) = exchange_asked(&mut bob, &mut alice);
    assert_eq!(offered.media_at(0).unwrap().direction(), SendRecv);
    assert_eq!(answered.media_at(0).unwrap().direction(), SendOnly);
    alice.wanted.resume();
    exchange_asked(&mut bob, &mut alice);
    assert_eq!((alice.direction(0), bob.direction(0)), (SendRecv, SendRecv));
}

/// H4. Between two legs, inactive stays inactive: who holds is a wish of each leg, not a copied line.
#[test]
fn inactive_becomes_receive_only_between_two_legs() {
    let (mut alice, mut near) = call();
    let (mut far, mut bob) = call();
    alice.wanted.hold_silently();
    exchange(&mut alice, &mut near);
    assert_eq!(near.direction(0), Inactive);
    // The far leg passes the hold on as its own.
    far.wanted.hold_silently();
    exchange(&mut far, &mut bob);
    assert_eq!(bob.direction(0), Inactive);
    // Bob asks for an offer: the far leg still holds, and does not offer to receive.
    let (offered, _) = exchange_asked(&mut far, &mut bob);
    assert_eq!(offered.media_at(0).unwrap().direction(), Inactive);
    // Alice is offered what the near leg wants, and goes on holding.
    let (offered, answered) = exchange_asked(&mut near, &mut alice);
    assert_eq!(offered.media_at(0).unwrap().direction(), SendRecv);
    assert_eq!(answered.media_at(0).unwrap().direction(), Inactive);
}

/// H6. The answer is made for this offer, and the session follows the address in it.
#[test]
fn media_keeps_going_to_the_old_port() {
    let (mut alice, mut bob) = call();
    alice.wanted.move_to(0, [203, 0, 113, 5].into(), 6000);
    let (offered, answered) = exchange(&mut alice, &mut bob);
    let session = agreed(&answered, &offered);
    assert_eq!(session.streams[0].remote, Some(("203.0.113.5".to_owned(), 6000)));
}

/// H8. A hold with the zero address and port 9 leaves a way back.
#[test]
fn no_way_back_from_a_hold_with_zero_address_and_port_nine() {
    let (mut alice, mut bob) = call();
    let text = alice
        .offer()
        .to_string()
        .replace("audio 4000", "audio 9")
        .replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    let hold = Sdp::parse(text.replace("1000 1 IN", "1000 2 IN").replace("sendrecv", "inactive").as_bytes())
        .unwrap();
    let answered = bob.answer(&hold).unwrap();
    let stream = &agreed(&answered, &hold).streams[0];
    assert!(stream.is_on() && !stream.sends && stream.held_by_peer);
    assert_eq!(stream.local, Some(("192.0.2.2".to_owned(), 5000)), "our end stays where it is");
    // The way back, from either side.
    let offered = bob.offer();
    assert_eq!(offered.media_at(0).unwrap().direction(), SendRecv);
    assert_eq!(lines(&offered), ["audio 5000 RTP/AVP 8 0 101"]);
    alice.last_sent = Some(hold);
    let (offered, answered) = exchange(&mut alice, &mut bob);
    let stream = &agreed(&answered, &offered).streams[0];
    assert!(stream.sends && stream.receives && !stream.held_by_peer);
}

/// O13. A format line without its number is no reason to fail: the static number says what it is.
#[test]
fn malformed_rtpmap_ends_in_a_server_error() {
    let (_, mut bob) = pair();
    let answer = bob.answer(&peer("m=audio 4000 RTP/AVP 8\na=rtpmap: PCMA/8000\n")).unwrap();
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 8"]);
    let refused = bob.answer(&peer("m=audio 4000 RTP/AVP 99\na=rtpmap: opus/48000/2\n")).unwrap_err();
    assert_eq!(refused.warning, 305);
}

/// T14. An answerer that offers later does not shuffle its codecs under the same version.
#[test]
fn refresh_changes_the_codec_order_under_the_same_version() {
    let (mut alice, mut bob) = pair();
    bob.wanted.codecs(0, [Codec::pcmu(), Codec::pcma()]);
    let (_, answered) = exchange(&mut alice, &mut bob);
    assert_eq!(lines(&answered), ["audio 5000 RTP/AVP 8 0 101"]);
    let (offered, _) = exchange(&mut bob, &mut alice);
    assert_eq!(lines(&offered), ["audio 5000 RTP/AVP 0 8 101"]);
    assert_eq!(version(&offered), version(&answered) + 1);
}
