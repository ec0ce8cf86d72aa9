//! What two descriptions let flow.

use super::super::{MediaKind, agreed};
use super::*;

#[test]
fn each_side_sends_with_the_numbers_of_the_other() {
    let offered =
        peer("m=audio 4000 RTP/AVP 107 8 96\na=rtpmap:107 opus/48000/2\na=rtpmap:96 telephone-event/8000\n");
    let answered = peer(
        "m=audio 5000 RTP/AVP 111 8 101\na=rtpmap:111 opus/48000/2\na=rtpmap:101 telephone-event/8000\n",
    );
    let numbers = |list: &[(u8, Codec)]| list.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    let offerer = &agreed(&offered, &answered).streams[0];
    assert_eq!((numbers(&offerer.send), numbers(&offerer.receive)), (vec![111, 8, 101], vec![107, 8, 96]));
    let answerer = &agreed(&answered, &offered).streams[0];
    assert_eq!((numbers(&answerer.send), numbers(&answerer.receive)), (vec![107, 8, 96], vec![111, 8, 101]));
    assert_eq!(offerer.local, Some(("198.51.100.1".to_owned(), 4000)));
    assert_eq!(offerer.remote, Some(("198.51.100.1".to_owned(), 5000)));
    assert!(offerer.sends && offerer.receives);
}

#[test]
fn formats_only_one_side_has_are_not_sent() {
    let offered = peer("m=audio 4000 RTP/AVP 18 8\n");
    let answered = peer("m=audio 5000 RTP/AVP 8 0\n");
    let stream = &agreed(&offered, &answered).streams[0];
    assert_eq!(stream.send.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [8]);
}

#[test]
fn refused_and_missing_streams_are_off() {
    let ours = peer("m=audio 4000 RTP/AVP 8\nm=video 4002 RTP/AVP 31\nm=image 4004 udptl t38\n");
    let theirs = peer("m=audio 5000 RTP/AVP 8\nm=video 0 RTP/AVP 31\n");
    let session = agreed(&ours, &theirs);
    let on: Vec<_> = session.streams.iter().map(|stream| (stream.kind.clone(), stream.is_on())).collect();
    let image = MediaKind::Other("image".into());
    assert_eq!(on, [(MediaKind::Audio, true), (MediaKind::Video, false), (image, false)]);
    assert!(session.streams[1].local.is_none() && session.streams[1].send.is_empty());
}

#[test]
fn what_flows_follows_both_directions() {
    for ours in Direction::ALL {
        for theirs in Direction::ALL {
            let side = |direction| peer(&format!("m=audio 4000 RTP/AVP 0\na={direction}\n"));
            let stream = &agreed(&side(ours), &side(theirs)).streams[0];
            assert_eq!(stream.sends, ours.sends() && theirs.receives());
            assert_eq!(stream.receives, ours.receives() && theirs.sends());
        }
    }
}

#[test]
fn a_fax_is_on_without_payload_types() {
    let fax = peer("m=image 4000 udptl t38\n");
    let stream = &agreed(&fax, &fax).streams[0];
    assert!(stream.is_on() && stream.sends && stream.send.is_empty());
}

#[test]
fn kinds_of_media_are_read_and_written() {
    for kind in [MediaKind::Audio, MediaKind::Video, MediaKind::Other("text".into())] {
        assert_eq!(MediaKind::parse(&kind.to_string().to_uppercase()), kind);
    }
}

#[test]
fn codecs_are_compared_by_meaning() {
    assert!(Codec::opus().same(&Codec { name: "OPUS".into(), payload: Some(96), ..Codec::opus() }));
    assert!(!Codec::opus().same(&Codec { channels: 1, ..Codec::opus() }));
    assert!(!Codec::pcma().same(&Codec::pcmu()));
    assert!(Codec::telephone_event().is_companion() && !Codec::g722().is_companion());
    assert!(Codec::new("CN", 8000).is_companion());
}

#[test]
fn wishes_about_places_that_are_not_there_change_nothing() {
    let mut wanted = pair().0.wanted;
    let before = wanted.clone();
    assert!(!wanted.codecs(5, []) && !wanted.drop_stream(5) && !wanted.resume_stream(5));
    assert!(!wanted.direction(5, Direction::Inactive) && !wanted.move_to(5, [192, 0, 2, 9].into(), 1));
    assert_eq!(wanted, before);
    assert!(wanted.wants(&MediaKind::Audio) && !wanted.wants(&MediaKind::Video));
    assert!(!Wanted::new([192, 0, 2, 1].into(), 1).held(), "nothing to hold");
}
