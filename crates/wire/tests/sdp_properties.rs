//! What holds for any session description, well formed or damaged.

use midcall_wire::sdp::{Direction, Sdp};
use proptest::prelude::*;

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("v=0".to_owned()),
        "o=[ -~]{0,30}",
        Just("o=- 1 9999999999999999999999 IN IP4 192.0.2.1".to_owned()),
        Just("s=-".to_owned()),
        "c=IN IP4 [0-9.]{0,12}",
        Just("t=0 0".to_owned()),
        (0..70_000_u32, "[A-Z/]{0,8}").prop_map(|(port, protocol)| format!("m=audio {port} {protocol} 0 96")),
        "m=[a-z]{1,6} [0-9]{1,4} RTP/AVP( [0-9]{1,3}){0,4}",
        "a=(sendrecv|sendonly|recvonly|inactive|SendOnly)",
        "a=(rtpmap|fmtp):[0-9]{1,3} [ -~]{0,20}",
        "[a-zA-Z]=[ -~]{0,20}",
        "[ -~]{0,10}",
    ]
}

fn ending() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r\r\n")]
}

/// A description whose lines are in any order, with a damaged byte now and then.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (prop::collection::vec((line(), ending()), 0..20), damage, any::<bool>()).prop_map(
        |(lines, damage, cut)| {
            let mut bytes = b"v=0\r\n".to_vec();
            for (line, ending) in lines {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(ending.as_bytes());
            }
            if cut {
                bytes.pop();
            }
            if let Some((index, byte)) = damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

fn contents(sdp: &Sdp) -> Vec<Vec<u8>> {
    sdp.lines().map(|line| line.content().to_vec()).collect()
}

/// Everything but the lines `mine` says yes to must be the same, in the same order.
fn untouched(before: &Sdp, after: &Sdp, mine: impl Fn(&[u8]) -> bool) -> Result<(), TestCaseError> {
    let rest = |sdp: &Sdp| contents(sdp).into_iter().filter(|line| !mine(line)).collect::<Vec<_>>();
    prop_assert_eq!(rest(before), rest(after));
    Ok(())
}

fn is_direction(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let Some(name) = text.strip_prefix("a=") else { return false };
    Direction::parse(name.split(':').next().unwrap_or_default().trim()).is_some()
}

proptest! {
    #[test]
    fn any_bytes_come_out_as_they_went_in(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(sdp) = Sdp::parse(&bytes) {
            prop_assert_eq!(sdp.as_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn damaged_descriptions_come_out_as_they_went_in(bytes in bytes()) {
        let Ok(sdp) = Sdp::parse(&bytes) else { return Ok(()) };
        prop_assert_eq!(sdp.as_bytes(), &bytes[..]);
        let joined: Vec<u8> =
            sdp.lines().flat_map(|line| [line.content(), line.ending()].concat()).collect();
        prop_assert_eq!(&joined, &bytes);
        prop_assert_eq!(sdp.media().count(), sdp.media_count());
        let sections: usize = sdp.media().map(|media| media.lines().count()).sum();
        prop_assert_eq!(sections + sdp.session_lines().count(), sdp.lines().count());
    }

    #[test]
    fn a_new_direction_leaves_all_other_lines_alone(bytes in bytes(), way in 0..4_usize) {
        let Ok(before) = Sdp::parse(&bytes) else { return Ok(()) };
        let direction = Direction::ALL[way];
        for index in 0..before.media_count() {
            let mut after = before.clone();
            after.media_mut(index).unwrap().set_direction(direction);
            prop_assert_eq!(after.media_at(index).unwrap().direction(), direction);
            untouched(&before, &after, is_direction)?;
            for (other, media) in before.media().enumerate().filter(|(other, _)| *other != index) {
                prop_assert_eq!(after.media_at(other).unwrap().direction(), media.direction());
            }
            prop_assert_eq!(Sdp::parse(after.as_bytes()), Ok(after.clone()));
        }
    }

    #[test]
    fn a_new_version_leaves_all_other_lines_alone(bytes in bytes()) {
        let Ok(before) = Sdp::parse(&bytes) else { return Ok(()) };
        let mut after = before.clone();
        after.set_origin_version("4711");
        untouched(&before, &after, |line| line.starts_with(b"o="))?;
        prop_assert_eq!(before.lines().count(), after.lines().count());
        prop_assert!(after.same_but_version(&before));
        if before.origin().is_some() {
            prop_assert_eq!(after.origin().unwrap().version, "4711");
        }
    }

    #[test]
    fn refusing_a_stream_leaves_all_others_alone(bytes in bytes()) {
        let Ok(before) = Sdp::parse(&bytes) else { return Ok(()) };
        for index in 0..before.media_count() {
            let mut after = before.clone();
            after.media_mut(index).unwrap().reject();
            prop_assert!(after.media_at(index).unwrap().rejected());
            prop_assert_eq!(after.media_count(), before.media_count());
            let formats = |sdp: &Sdp| sdp.media_at(index).unwrap().formats().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(formats(&after), formats(&before));
            untouched(&before, &after, |line| line.starts_with(b"m=") || line.starts_with(b"a="))?;
        }
    }

    #[test]
    fn a_stream_put_below_changes_nothing_above(bytes in bytes()) {
        let Ok(before) = Sdp::parse(&bytes) else { return Ok(()) };
        let mut after = before.clone();
        prop_assert_eq!(after.push_media("audio 4000 RTP/AVP 8", ["a=sendonly"]), Some(before.media_count()));
        prop_assert_eq!(after.media_count(), before.media_count() + 1);
        untouched(&before, &after, |line| matches!(line, b"m=audio 4000 RTP/AVP 8" | b"a=sendonly"))?;
        let added = after.media_at(before.media_count()).unwrap();
        prop_assert_eq!((added.port(), added.direction()), (4000, Direction::SendOnly));
    }
}
