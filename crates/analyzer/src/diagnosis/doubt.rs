//! What is not sure because the trace lacks the end of a message.

use midcall_proto::observer::Certainty;
use midcall_proto::rules::{RuleId, Severity};

use crate::model::{Call, Finding, Message};

/// Doubts what could be otherwise if messages that the trace cut were whole, and drops what rests on one of which nothing is
/// left but headers: what it lacks, it may have had.
pub(crate) fn doubt(call: &mut Call) {
    let cut: Vec<Cut> = call.messages.iter().filter(|message| message.cut).map(Cut::of).collect();
    let Some(first) = cut.first().map(|cut| cut.n) else { return };
    let first_bare = cut.iter().find(|cut| cut.bare).map(|cut| cut.n);
    let length = RuleId::ContentLength.rule().code;
    call.findings.retain_mut(|finding| {
        if finding.code.starts_with(OF_CAPTURES) {
            return true;
        }
        let rests_on: Vec<&Cut> =
            cut.iter().filter(|cut| cut.n == finding.at || finding.because.contains(&cut.n)).collect();
        let after =
            first_bare.is_some_and(|n| n <= finding.at) || first <= finding.at && reads_bodies(finding);
        if !rests_on.is_empty() || after {
            finding.certainty = Certainty::CaptureGap;
            finding.severity = finding.severity.min(Severity::Info);
        }
        // The sender may have sent all that it announced.
        !rests_on.iter().any(|cut| cut.bare || finding.code == length)
    });
}

/// A message of which the trace lacks the end.
struct Cut {
    n: u32,
    /// Whether nothing of its body is there.
    bare: bool,
}

impl Cut {
    fn of(message: &Message) -> Self {
        let body = message.raw.windows(4).position(|end| end == b"\r\n\r\n").map(|end| end + 4);
        Self { n: message.n, bare: body.is_none_or(|body| body >= message.raw.len()) }
    }
}

/// Whether somebody must have read session descriptions to find it.
fn reads_bodies(finding: &Finding) -> bool {
    let family = finding.code.trim_start_matches("F-");
    let family = family.trim_end_matches(|sign: char| sign == '-' || sign.is_ascii_digit());
    !WITHOUT_BODIES.contains(&family)
}

/// Families of rules and diagnoses that look at headers alone.
const WITHOUT_BODIES: [&str; 5] = ["TX", "DLG", "ST", "STM", "SEC"];

/// What is said of the capture itself.
const OF_CAPTURES: &str = "F-CPT";

#[cfg(test)]
mod tests {
    use midcall_proto::rules::Severity;

    use crate::model::{Call, Finding};
    use crate::sample;
    use crate::source::Packet;

    const HELD: &str = "start call
A -> B   INVITE offer sdp:sendonly
B -> A   200 INVITE answer sdp:sendrecv
A -> B   ACK
A -> B   BYE
B -> A   200 BYE
expect   B breaks OA-23 at 2";

    /// A call in which each message was made another before it was seen.
    fn seen(other: impl Fn(&mut Packet)) -> Call {
        let mut packets = sample::packets(HELD);
        packets.iter_mut().for_each(other);
        let (mut calls, stats) = sample::analyzed(packets);
        assert_eq!((stats.not_sip, stats.outside, calls.len()), (0, 0, 1));
        calls.remove(0)
    }

    fn found<'c>(call: &'c Call, code: &str) -> Option<&'c Finding> {
        call.findings.iter().find(|finding| finding.code == code)
    }

    fn is_hold(packet: &Packet) -> bool {
        packet.payload.starts_with(b"INVITE ")
            && String::from_utf8_lossy(&packet.payload).contains("a=sendonly")
    }

    #[test]
    fn a_message_with_less_body_than_it_announces_stays_in_its_call() {
        let whole = seen(|_| ());
        let longer = seen(|packet| {
            if is_hold(packet) {
                let text = String::from_utf8(std::mem::take(&mut packet.payload)).unwrap();
                let (head, rest) = text.split_once("Content-Length: ").unwrap();
                let (length, rest) = rest.split_once('\r').unwrap();
                let length = length.parse::<usize>().unwrap() + 2;
                packet.payload = format!("{head}Content-Length: {length}\r{rest}").into_bytes();
            }
        });
        assert_eq!(longer.messages.len(), whole.messages.len());
        assert_eq!(found(&longer, "OA-23"), found(&whole, "OA-23"));
        let short = found(&longer, "TX-31").expect("TX-31");
        assert_eq!(short.severity, Severity::Warning);
        assert!(short.means.contains("and a body of"), "{}", short.means);
    }

    #[test]
    fn a_description_that_ends_in_the_middle_of_a_line_is_told() {
        let call = seen(|packet| {
            if is_hold(packet) {
                packet.payload.truncate(packet.payload.len() - 5);
            }
        });
        let short = found(&call, "TX-31").expect("TX-31");
        assert!(short.consequences.iter().any(|one| one.code == Some("F-SDP15")), "{short:?}");
    }

    #[test]
    fn what_a_capture_cut_is_shown_and_blames_nobody() {
        for length in [320, 400] {
            let call = seen(|packet| {
                packet.cut = packet.payload.len() > length;
                packet.payload.truncate(length);
            });
            assert_eq!(call.messages.len(), seen(|_| ()).messages.len(), "{length}");
            let bad: Vec<_> =
                call.findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
            assert!(bad.is_empty() && found(&call, "TX-31").is_none(), "{length}: {bad:#?}");
            assert!(found(&call, "F-CPT1").expect("F-CPT1").means.contains("are cut off"));
        }
    }
}
