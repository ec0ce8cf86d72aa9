//! Media, security of media, and the trace itself.

use midcall_proto::rules::{Cite, Severity};

use super::{Diagnosis, Shown};

pub(super) const ROWS: &[Diagnosis] = &[
    Diagnosis {
        id: "F-MED1",
        title: "One-way call by its descriptions",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &["OA-23"],
        cites: &[Cite::new(3264, "6.1")],
        means: "The descriptions agree on media in one direction only although nobody asked for a hold.",
        fix: "Look at the direction in the answer.",
    },
    Diagnosis {
        id: "F-MED2",
        title: "ICE was restarted on one side only",
        severity: Severity::Error,
        shown: Shown::Signalling,
        rules: &["OA-51"],
        cites: &[Cite::new(8839, "4.4.1.1.1"), Cite::new(8445, "9")],
        means: "The offer has new ICE credentials and the answer repeats the old ones, or only half of them \
              changed.",
        fix: "Change user fragment and password on both sides.",
    },
    Diagnosis {
        id: "F-MED3",
        title: "DTLS identity changed without a new association",
        severity: Severity::Warning,
        shown: Shown::Signalling,
        rules: &[],
        cites: &[Cite::new(8839, "4.4.1.1.1")],
        means: "Fingerprint or role changed while tls-id and ICE credentials stayed the same, so the peer \
              keeps the old keys.",
        fix: "Start a new association with a new tls-id or an ICE restart.",
    },
    Diagnosis {
        id: "F-MED4",
        title: "Encryption of media was dropped",
        severity: Severity::Error,
        shown: Shown::Signalling,
        rules: &["OA-54"],
        cites: &[Cite::new(4568, "7.1.4"), Cite::new(3264, "8.3.1")],
        means: "A stream was encrypted before and is offered in the clear now, or lost its keys.",
        fix: "Offer SRTP again; refuse a change that drops it.",
    },
    Diagnosis {
        id: "F-MED5",
        title: "Switch to fax failed",
        severity: Severity::Warning,
        shown: Shown::Signalling,
        rules: &["OA-42", "SV-20"],
        cites: &[Cite::new(3264, "8.3.3")],
        means: "A re-INVITE for T.38 was refused, or the image stream was answered with port 0 and no audio \
              left.",
        fix: "Fall back to G.711 by another re-INVITE, or accept T.38.",
    },
    Diagnosis {
        id: "F-MED6",
        title: "BUNDLE or rtcp-mux was dropped",
        severity: Severity::Warning,
        shown: Shown::Signalling,
        rules: &["OA-21"],
        cites: &[Cite::new(9143, "7.5"), Cite::new(5761, "5.1.1")],
        means: "An attribute that both sides used is missing in a later offer, so RTP or RTCP moves to other \
              ports.",
        fix: "Repeat the attribute in every offer.",
    },
    Diagnosis {
        id: "F-MED7",
        title: "One-way media",
        severity: Severity::Warning,
        shown: Shown::Media,
        rules: &[],
        cites: &[Cite::new(3264, "5.1"), Cite::new(3264, "6.1")],
        means: "Both sides agreed on media both ways, and the trace shows RTP in one direction only.",
        fix: "Look at the address in the SDP of the side that hears nothing, at its firewall, and at what the other side sends.",
    },
    Diagnosis {
        id: "F-CPT1",
        title: "The trace does not show all of the call",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &[],
        cites: &[Cite::new(3261, "17")],
        means: "The call began before the trace, messages are cut, or only one direction is there. What is \
              not seen is not judged.",
        fix: "Capture at one of the two ends, from before the call to after it, with full packets.",
    },
];
