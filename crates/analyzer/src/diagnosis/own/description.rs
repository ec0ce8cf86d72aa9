//! Session descriptions beyond what the rules compare.

use std::net::IpAddr;

use midcall_proto::rules::Severity;
use midcall_wire::Method;

use super::Scene;
use super::deal::{Deal, before};
use crate::diagnosis::read::{carries_no_voice, shorten};
use crate::model::Finding;
use crate::sheet::{Format, Sheet};

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    for (index, exchange) in scene.deals.iter().enumerate() {
        unexplained(scene, exchange.offer, &exchange.offered, found);
        let Some((offered, answer, answered)) = exchange.done() else { continue };
        unexplained(scene, answer, answered, found);
        tones_at_no_rate(scene, answer, answered, found);
        for (by, n, sdp) in [(exchange.by, exchange.offer, offered), (exchange.by.other(), answer, answered)]
        {
            if let Some((last, old)) = before(scene.deals, index, by) {
                settings_lost(scene, (last, old), (n, sdp), found);
            }
        }
        if let Some((_, last)) = before(scene.deals, index, exchange.by.other()) {
            running_refused(scene, (exchange.offer, offered), (answer, answered), last, found);
        }
    }
    no_line_end(scene, found);
    private_address(scene, found);
}

/// F-SDP9: the rule finds it in answers.
fn unexplained(scene: &Scene<'_, '_>, n: u32, sdp: &Sheet<'_>, found: &mut Vec<Finding>) {
    let streams = sdp.streams.iter().enumerate().filter(|(_, stream)| !stream.rejected);
    let bare = streams.into_iter().find_map(|(index, stream)| {
        let dynamic = |number: &str| number.parse::<u8>().is_ok_and(|number| (96..128).contains(&number));
        let bare = stream.formats.iter().find(|format| format.mapped.is_none() && dynamic(format.number))?;
        sdp.sdp()?.media_at(index)?.is_rtp().then_some((stream.kind, bare.number))
    });
    let Some((kind, number)) = bare.filter(|_| !scene.has("OA-47", n)) else { return };
    let r = scene.reading;
    let means = format!(
        "{}'s {} at {} (message {n}) lists payload number {number} for {kind} and has no a=rtpmap:{number} line.",
        r.sender(n),
        r.label(n),
        r.time(n)
    );
    found.push(scene.found("F-SDP9", r.by(n), n, &[], means));
}

/// F-SDP11: tone events share the timestamps of the audio, so they need its clock rate.
fn tones_at_no_rate(scene: &Scene<'_, '_>, n: u32, sdp: &Sheet<'_>, found: &mut Vec<Finding>) {
    for stream in sdp.streams.iter().filter(|stream| stream.kind == "audio" && !stream.rejected) {
        let maps: Vec<_> = stream.formats.iter().filter_map(Format::map).collect();
        let tones = || maps.iter().filter(|map| map.name.eq_ignore_ascii_case("telephone-event"));
        let others = || maps.iter().filter(|map| !carries_no_voice(map.name));
        let shared = || tones().any(|tone| others().any(|other| other.clock == tone.clock));
        if let (Some(tone), Some(other)) = (tones().next(), others().next())
            && !shared()
            && !scene.has("OA-57", n)
        {
            let r = scene.reading;
            let means = format!(
                "{}'s {} at {} (message {n}) answers {} at {} Hz, but telephone-event only at {} Hz.",
                r.sender(n),
                r.label(n),
                r.time(n),
                other.name,
                other.clock,
                tone.clock
            );
            found.push(scene.found("F-SDP11", r.by(n), n, &[], means));
        }
    }
}

/// F-SDP10: parameters on which encoder and decoder must agree.
fn settings_lost(
    scene: &Scene<'_, '_>,
    old: (u32, &Sheet<'_>),
    new: (u32, &Sheet<'_>),
    found: &mut Vec<Finding>,
) {
    for (was, is) in old.1.with(new.1).filter(|(was, is)| !was.rejected && !is.rejected) {
        let changed = is.formats.iter().find_map(|format| {
            let last = was.numbered(format.number).filter(|last| last.fmtp != format.fmtp)?;
            let (a, b) = (last.map()?, format.map()?);
            let same = a.name.eq_ignore_ascii_case(b.name) && a.clock == b.clock;
            (same && binding(last) != binding(format)).then_some((b.name, last.fmtp, format.fmtp))
        });
        let Some((codec, before, now)) = changed else { continue };
        let quote = |fmtp: Option<&str>| {
            fmtp.map_or_else(|| "nothing".to_owned(), |fmtp| format!("\"{}\"", shorten(fmtp, 80)))
        };
        let r = scene.reading;
        let means = format!(
            "{}'s {} at {} (message {}) says {} for {codec}; in {} it said {}.",
            r.sender(new.0),
            r.label(new.0),
            r.time(new.0),
            new.0,
            quote(now),
            r.the(old.0),
            quote(before)
        );
        found.push(scene.found("F-SDP10", r.by(new.0), new.0, &[old.0], means));
        return;
    }
}

/// The parameters of a format without which its packets cannot be read, in order.
fn binding<'a>(format: &Format<'a>) -> Vec<(String, &'a str)> {
    const BINDING: [&str; 6] =
        ["octet-align", "mode-set", "packetization-mode", "interleaving", "crc", "robust-sorting"];
    let mut list: Vec<_> = format
        .fmtp
        .unwrap_or_default()
        .split(';')
        .filter_map(|part| part.trim().split_once('='))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
        .filter(|(name, value)| BINDING.contains(&name.as_str()) && *value != "0")
        .collect();
    list.sort();
    list
}

/// F-SDP14: audio in use, offered with a codec in use, answered with port 0 while nothing takes its place.
fn running_refused(
    scene: &Scene<'_, '_>,
    offer: (u32, &Sheet<'_>),
    answer: (u32, &Sheet<'_>),
    last: &Sheet<'_>,
    found: &mut Vec<Finding>,
) {
    if answer.1.lives() {
        return;
    }
    let refused = offer.1.with(answer.1).zip(&last.streams).any(|((offered, answered), last)| {
        let shared = || {
            offered.formats.iter().any(|format| match format.map() {
                Some(map) if carries_no_voice(map.name) => false,
                Some(map) => last
                    .formats
                    .iter()
                    .filter_map(Format::map)
                    .any(|used| used.name.eq_ignore_ascii_case(map.name) && used.clock == map.clock),
                None => last.numbered(format.number).is_some(),
            })
        };
        offered.kind == "audio" && !offered.rejected && answered.rejected && !last.rejected && shared()
    });
    if !refused {
        return;
    }
    let r = scene.reading;
    let means = format!(
        "{} offered the running audio with a codec in use in {}, and {} answered with port 0 (message {}).",
        r.sender(offer.0),
        r.the(offer.0),
        r.sender(answer.0),
        answer.0
    );
    // A stream may be refused for a while; a call that is left with none for good has lost what it was for.
    let later = scene.deals.iter().filter(|deal| deal.offer > answer.0);
    let back = later.filter_map(Deal::done).any(|(_, _, answered)| answered.lives());
    let on = r.next_after(answer.0, |_, message| message.is_request() && message.method() == Method::Bye);
    let severity = if !back && on.is_some() { Severity::Error } else { Severity::Warning };
    found.push(scene.weighed(severity, "F-SDP14", r.by(answer.0), answer.0, &[offer.0], means));
}

/// F-SDP15: once for each party.
fn no_line_end(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    let mut told = Vec::new();
    for (own, glance) in scene.reading.glances_of_originals() {
        if !glance.is_unended() || own.cut || told.contains(&own.by) {
            continue;
        }
        let Some(sdp) = scene.reading.get(own.n).and_then(|message| message.sdp()) else { continue };
        told.push(own.by);
        let last = sdp.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let r = scene.reading;
        let means = format!(
            "The last line of the SDP in {}'s {} at {} (message {}), \"{}\", has no line end.",
            r.sender(own.n),
            r.label(own.n),
            r.time(own.n),
            own.n,
            shorten(&String::from_utf8_lossy(last), 60)
        );
        found.push(scene.found("F-SDP15", own.by, own.n, &[], means));
    }
}

/// F-SDP12: only between two parties that the trace shows at one hop, and only if no ICE is there to find another way.
fn private_address(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    let mut told = Vec::new();
    let described = scene.deals.iter().flat_map(|exchange| {
        let answer = exchange.answer.as_ref().map(|(n, sdp)| (*n, sdp));
        std::iter::once((exchange.offer, &exchange.offered)).chain(answer)
    });
    for (n, sdp) in described {
        let Some(own) = scene.reading.call.message(n).filter(|own| !told.contains(&own.by)) else { continue };
        if is_private(own.to.ip()) || own.to.ip().is_unspecified() || has_ice(sdp) {
            continue;
        }
        let Some(address) = private_stream(sdp) else { continue };
        told.push(own.by);
        let r = scene.reading;
        let means = format!(
            "{}'s {} at {} (message {}) was sent to the public address {} and wants media at {address}, which cannot be reached \
             from there.",
            r.sender(own.n),
            r.label(own.n),
            r.time(own.n),
            own.n,
            own.to.ip()
        );
        let mut finding = scene.found("F-SDP12", own.by, own.n, &[], means);
        // Border controllers often repair it; where RTP shows that nothing comes, they do not.
        let unheard = |known: &&Finding| known.code == "F-MED7" && known.by == own.by.other();
        if r.call.findings.iter().any(|known| unheard(&known)) {
            finding.severity = Severity::Error;
        }
        found.push(finding);
    }
}

fn private_stream(sdp: &Sheet<'_>) -> Option<IpAddr> {
    let stream = sdp.streams.iter().find(|stream| !stream.rejected)?;
    let address: IpAddr = stream.address()?.parse().ok()?;
    is_private(address).then_some(address)
}

fn has_ice(sdp: &Sheet<'_>) -> bool {
    sdp.streams.iter().any(|stream| stream.bond.fragment.is_some())
}

/// Addresses that mean nothing outside their own network: RFC 1918, RFC 6598, RFC 4193, loopback and link-local.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for private in [
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "fd00::1",
            "::1",
            "fe80::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["192.0.2.1", "100.128.0.1", "172.32.0.1", "8.8.8.8", "2001:db8::1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}
