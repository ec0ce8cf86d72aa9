//! What must hold for any bytes taken as a session description.

use midcall_wire::sdp::{Direction, Media, Sdp};

/// Reads the bytes and changes what was read, one thing at a time.
pub(crate) fn check(data: &[u8]) {
    let Ok(sdp) = Sdp::parse(data) else { return };
    assert_eq!(sdp.as_bytes(), data, "reading changed the bytes");
    let lines: usize = sdp.lines().map(|line| line.content().len() + line.ending().len()).sum();
    assert_eq!(lines, data.len(), "the lines are not the whole");
    assert_eq!(sdp.media().count(), sdp.media_count());
    assert!(sdp.same_but_version(&sdp));
    read_session(&sdp);
    sdp.media().for_each(|media| read_media(&sdp, &media));
    change_version(&sdp);
    // A thousand streams would only say the same thing a thousand times.
    for index in 0..sdp.media_count().min(4) {
        change_direction(&sdp, index);
        change_port(&sdp, index);
    }
}

fn read_session(sdp: &Sdp) {
    let _ = (sdp.session_name(), sdp.times().count(), sdp.connection(), sdp.bandwidth().count());
    let _ = (sdp.direction(), sdp.attribute("tool"), sdp.attributes("group").count());
    for group in sdp.groups() {
        let _ = group.mids().count();
    }
    if let Some(origin) = sdp.origin() {
        assert!(origin.same_session(&origin));
    }
    if let Some(version) = sdp.version() {
        assert!(version.plus_one() > version, "one more is not more");
    }
}

fn read_media(sdp: &Sdp, media: &Media<'_>) {
    let _ = (media.kind(), media.port(), media.port_count(), media.protocol(), media.is_rtp(), media.line());
    let _ = (media.direction(), media.connection_data(), media.is_black_hole(), media.bandwidth().count());
    let _ = (media.attribute("ptime"), media.inherited("setup"), media.ptime(), media.crypto().count());
    let _ = (media.is_bundle_only(), media.rejected());
    for format in media.formats() {
        let _ = (media.rtpmap(format), media.has_rtpmap(format), media.fmtp(format));
    }
    if let Some(mid) = media.mid() {
        let _ = sdp.bundles(mid);
    }
}

fn change_version(sdp: &Sdp) {
    let mut changed = sdp.clone();
    changed.set_origin_version("4711");
    if sdp.origin().is_none() {
        assert_eq!(sdp, &changed, "there was no version to change");
        return;
    }
    assert_eq!(changed.version().map(|version| version.as_str().to_owned()), Some("4711".to_owned()));
    assert!(changed.same_but_version(sdp), "more than the version changed");
    read_again(&changed);
}

fn change_direction(sdp: &Sdp, index: usize) {
    for direction in [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive] {
        let mut changed = sdp.clone();
        let Some(mut media) = changed.media_mut(index) else {
            panic!("stream {index} is counted but not there")
        };
        media.set_direction(direction);
        assert_eq!(media.view().map(|media| media.direction()), Some(direction));
        others_are_untouched(sdp, &changed, index);
    }
}

fn change_port(sdp: &Sdp, index: usize) {
    let mut changed = sdp.clone();
    let Some(mut media) = changed.media_mut(index) else { panic!("stream {index} is counted but not there") };
    media.set_port(4242);
    assert_eq!(media.view().map(|media| media.port()), Some(4242));
    media.reject();
    assert_eq!(media.view().map(|media| media.rejected()), Some(true));
    others_are_untouched(sdp, &changed, index);
}

fn others_are_untouched(before: &Sdp, after: &Sdp, changed: usize) {
    assert_eq!(before.media_count(), after.media_count());
    for (index, (old, new)) in before.media().zip(after.media()).enumerate() {
        if index != changed {
            let (old, new): (Vec<_>, Vec<_>) = (
                old.lines().map(|line| line.content()).collect(),
                new.lines().map(|line| line.content()).collect(),
            );
            assert_eq!(old, new, "stream {index} changed with stream {changed}");
        }
    }
    read_again(after);
}

fn read_again(sdp: &Sdp) {
    assert_eq!(Sdp::parse(sdp.as_bytes()).as_ref(), Ok(sdp), "what was written cannot be read");
}
