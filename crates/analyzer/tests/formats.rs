//! Every log format gives the same messages, however the log came here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::io::Read;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use midcall_analyzer::source::text::Text;
use midcall_analyzer::source::{Item, Packet, Source, Summary};
use midcall_testkit::pieces::Pieces;

/// What is known of a sample.
struct Sample {
    file: &'static str,
    format: &'static str,
    /// The messages, by their letters: I for the INVITE, O for its 200, A for the ACK, B for a BYE of the other side.
    messages: &'static str,
    transport: &'static str,
    /// When the first message passed, in microseconds.
    first: u64,
    /// How long after it the others did.
    after: &'static [u64],
    /// How finely its clock counts, in milliseconds.
    resolution: u64,
}

const fn sample(file: &'static str, format: &'static str, first: u64, after: &'static [u64]) -> Sample {
    Sample { file, format, messages: "IOA", transport: "UDP", first, after, resolution: 0 }
}

impl Sample {
    const fn coarse(self, resolution: u64) -> Self {
        Self { resolution, ..self }
    }

    const fn over(self, transport: &'static str) -> Self {
        Self { transport, ..self }
    }

    const fn holding(self, messages: &'static str) -> Self {
        Self { messages, ..self }
    }
}

/// 2026-10-30 12:00:00, the same day without a year, the same time of the first day.
const DATED: u64 = 1_793_361_600_000_000;
const YEARLESS: u64 = (302 * 86_400 + 43_200) * 1_000_000;
const TIMED: u64 = 43_200_000_000;
const MICROS: &[u64] = &[0, 37_333, 76_586];
const MILLIS: &[u64] = &[0, 37_000, 77_000];
const NONE: &[u64] = &[0, 0, 0, 0];
/// Without any time at all.
const TIMELESS: u64 = u64::MAX;

const SAMPLES: &[Sample] = &[
    sample("asterisk-chan-sip", "Asterisk log", 0, NONE).coarse(TIMELESS).holding("IOAB"),
    sample("asterisk-pjsip-console", "Asterisk log", 0, NONE).coarse(TIMELESS),
    sample("asterisk-pjsip-full-log", "Asterisk log", DATED + 123_000, MILLIS).coarse(1),
    sample("audiocodes-syslog", "AudioCodes syslog", YEARLESS + 123_000, MILLIS).coarse(1),
    sample("audiocodes-syslogviewer", "AudioCodes syslog", YEARLESS + 123_000, MILLIS).coarse(1),
    sample("avaya-ipoffice-monitor", "Avaya IP Office monitor", DATED, MILLIS).coarse(1),
    sample("avaya-tracesm", "Avaya traceSM", DATED + 123_000, MILLIS).coarse(1),
    sample("baresip-trace", "baresip trace", TIMED + 123_000, MILLIS).coarse(1),
    sample("cisco-ccsip", "Cisco ccsip debug", YEARLESS + 123_000, MILLIS).coarse(1),
    sample(
        "cisco-cucm-sdl",
        "Cisco CUCM SDL log",
        TIMED + 123_000,
        &[0, 37_000, 77_000, 2_377_000, 2_477_000],
    )
    .coarse(1)
    .over("TCP")
    .holding("IOAao"),
    sample("cisco-voip-trace", "Cisco VoIP trace", YEARLESS + 123_000, MILLIS).coarse(1),
    sample("freeswitch-sofia", "Sofia log (FreeSWITCH, drachtio)", TIMED + 123_456, MICROS),
    sample("freeswitch-sofia-legacy", "Sofia log (FreeSWITCH, drachtio)", TIMED + 123_456, MICROS),
    sample("genesys-sipserver", "Genesys SIP Server log", TIMED + 123_000, MILLIS).coarse(1),
    sample("homer-text", "HOMER text", DATED + 123_000, MILLIS).coarse(1),
    sample("jssip-console", "JsSIP console", 123_000, &[0, 160_000, 360_000]).coarse(1).over("WS"),
    sample("kamailio-sipdump", "Kamailio sipdump", DATED + 123_456, MICROS),
    sample("linphone-belle-sip", "linphone log", DATED + 123_000, MILLIS).coarse(1),
    sample("ngrep-byline", "ngrep or sipgrep text", DATED + 123_456, MICROS),
    sample("ngrep-none", "ngrep or sipgrep text", DATED + 123_456, MICROS),
    sample("ngrep-normal", "ngrep or sipgrep text", DATED + 123_456, MICROS),
    sample("ngrep-single", "ngrep or sipgrep text", DATED + 123_456, MICROS),
    sample("opensips-tracer-file", "OpenSIPS tracer file", DATED, NONE).coarse(1000),
    sample("oracle-sipmsg", "Oracle sipmsg.log", YEARLESS + 123_000, MILLIS).coarse(1),
    sample("pjsua", "pjsua log", TIMED + 123_000, MILLIS).coarse(1),
    sample("raw-sip", "SIP text", 0, NONE).coarse(TIMELESS),
    sample("raw-sip-lf-pasted", "SIP text", 0, NONE).coarse(TIMELESS),
    sample("ribbon-sbc-trc", "Ribbon SBC trace", DATED + 123_456, &[0, 76_586]).holding("IA"),
    sample("sipgrep", "ngrep or sipgrep text", DATED + 123_456, MICROS),
    sample("sipjs-console", "SIP.js console", DATED, NONE).coarse(1000).over("WSS"),
    sample("sipp-messages", "SIPp message trace", DATED + 123_456, MICROS),
    sample("sipp-messages-legacy", "SIPp message trace", DATED + 123_456, MICROS),
    sample("sngrep-text", "sngrep text", DATED + 123_456, MICROS),
];

#[test]
fn every_sample_gives_the_same_messages() {
    each(|sample| {
        let (packets, summary) = read(&text_of(sample)[..]);
        check(sample, &packets, sample.file);
        assert_eq!(summary.format, sample.format, "{}", sample.file);
        assert_eq!(summary.messages, sample.messages.len() as u64, "{}", sample.file);
        assert_eq!(summary.records, summary.messages, "{}: {summary:?}", sample.file);
        assert_eq!(summary.skipped, [], "{}", sample.file);
        assert_eq!(summary.bytes, text_of(sample).len() as u64);
        let resolution = match sample.resolution {
            TIMELESS => Duration::MAX,
            millis => Duration::from_millis(millis),
        };
        assert_eq!(summary.resolution, resolution, "{}", sample.file);
        let lines: Vec<_> = packets.iter().map(|packet| packet.place.number).collect();
        assert!(lines.is_sorted() && lines[0] > 0, "{}: {lines:?}", sample.file);
    });
}

#[test]
fn there_is_a_row_for_every_sample() {
    let folder = fs::read_dir(folder()).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|file| file.ends_with(".txt"));
    files.sort();
    let mut rows: Vec<_> = SAMPLES.iter().map(|sample| format!("{}.txt", sample.file)).collect();
    rows.sort();
    assert_eq!(files, rows);
}

#[test]
fn ends_of_lines_do_not_matter() {
    each(|sample| {
        let text = text_of(sample);
        let lf = replaced(&text, "\r\n", "\n");
        let crlf = replaced(&lf, "\n", "\r\n");
        let twice = replaced(&lf, "\n", "\r\r\n");
        let spelled = replaced(&text, "\r\n", "^M\n");
        for (what, text) in [("LF", lf), ("CRLF", crlf), ("CRCRLF", twice), ("^M", spelled)] {
            check(sample, &read(&text[..]).0, &format!("{} with {what}", sample.file));
        }
    });
}

#[test]
fn what_a_pager_adds_does_not_matter() {
    each(|sample| {
        let text = text_of(sample);
        let bom = [b"\xef\xbb\xbf", text.as_slice()].concat();
        check(sample, &read(&bom[..]).0, &format!("{} with a byte order mark", sample.file));
        let noise = [&b"a line of something else\n\n"[..], &text, b"and another\n"].concat();
        check(sample, &read(&noise[..]).0, &format!("{} with lines around it", sample.file));
        if UNPROVED.contains(&sample.file) {
            return;
        }
        for prefix in ["trace.log:", "trace.log-", "> ", "sbc_1  | ", "\x1b[32m"] {
            let prefixed = prefixed(&text, |_| prefix.to_owned());
            check(sample, &read(&prefixed[..]).0, &format!("{} behind {prefix:?}", sample.file));
        }
        let numbered = prefixed(&text, |nth| format!("{nth}:"));
        check(sample, &read(&numbered[..]).0, &format!("{} with numbers", sample.file));
    });
}

#[test]
fn it_does_not_matter_how_a_log_is_read() {
    each(|sample| {
        let text = text_of(sample);
        let whole = read(&text[..]);
        for piece in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(read(Pieces(&text, piece)), whole, "{} in pieces of {piece}", sample.file);
        }
    });
}

#[test]
fn what_is_left_of_a_log_that_is_cut_anywhere_stays_the_same() {
    each(|sample| {
        let text = text_of(sample);
        let whole = read(&text[..]).0;
        for end in (0..text.len()).step_by(5) {
            let (some, _) = read(&text[..end]);
            assert!(some.len() <= whole.len(), "{} cut at {end}", sample.file);
            // All but the last one are as they were.
            for (one, other) in some.iter().zip(&whole).take(some.len().saturating_sub(1)) {
                assert_eq!(one.payload, other.payload, "{} cut at {end}", sample.file);
            }
        }
    });
}

#[test]
fn samples_that_follow_each_other_are_all_read() {
    let all: Vec<u8> = SAMPLES.iter().flat_map(|sample| [text_of(sample), b"\n".to_vec()].concat()).collect();
    let (_, summary) = read(&all[..]);
    // Of a log in one format only that format's records are sure; the others are still messages.
    let expected: usize = SAMPLES.iter().map(|sample| sample.messages.len()).sum();
    let found = usize::try_from(summary.messages).unwrap();
    assert!(found >= expected * 3 / 4, "{found} of {expected}: {summary:?}");
}

/// Messages without lines of their own do not prove that every line has a prefix.
const UNPROVED: [&str; 3] = ["ngrep-none", "ngrep-normal", "ngrep-single"];

/// Looks at every sample before it says which are wrong.
fn each(look: impl Fn(&Sample) + RefUnwindSafe) {
    let fails = |sample: &&Sample| catch_unwind(|| look(sample)).is_err();
    let failed: Vec<_> = SAMPLES.iter().filter(fails).map(|sample| sample.file).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

fn check(sample: &Sample, packets: &[Packet], what: &str) {
    let kinds: String = packets.iter().map(|packet| kind(&packet.payload)).collect();
    assert_eq!(kinds, sample.messages.to_uppercase(), "{what}");
    for (nth, (packet, kind)) in packets.iter().zip(sample.messages.chars()).enumerate() {
        // CUCM's small letters are messages over UDP.
        let transport = if kind.is_lowercase() { "UDP" } else { sample.transport };
        let expected = message(kind.to_ascii_uppercase(), transport);
        assert_eq!(
            String::from_utf8_lossy(&packet.payload),
            String::from_utf8_lossy(&expected),
            "message {nth} of {what}"
        );
        let (peer, logger) = ("192.0.2.10:5060".parse().unwrap(), "198.51.100.20:5060".parse().unwrap());
        let sent = matches!(kind, 'O' | 'o' | 'B');
        let expected = if sent { (logger, peer) } else { (peer, logger) };
        assert_eq!((packet.from, packet.to), expected, "message {nth} of {what}");
        assert_eq!(packet.transport.as_str(), transport, "message {nth} of {what}");
        assert_eq!(packet.at.as_micros(), sample.first + sample.after[nth], "message {nth} of {what}");
        assert!(!packet.cut, "message {nth} of {what}");
    }
}

fn kind(payload: &[u8]) -> char {
    match payload {
        [b'S', ..] => 'O',
        [first, ..] => char::from(*first),
        [] => '-',
    }
}

fn message(kind: char, transport: &str) -> Vec<u8> {
    let text = match kind {
        'I' => INVITE,
        'O' => OK,
        'A' => ACK,
        _ => BYE,
    };
    text.replace("/UDP", &format!("/{transport}")).replace('\n', "\r\n").into_bytes()
}

const INVITE: &str = "INVITE sip:bob@198.51.100.20:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKfmt2;rport
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>;tag=b1
Call-ID: fmt-1@example.com
CSeq: 2 INVITE
Max-Forwards: 70
Contact: <sip:alice@192.0.2.10:5060>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE
Content-Type: application/sdp
Content-Length: 183

v=0
o=- 4711 2 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 40000 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendonly
";

const OK: &str = "SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKfmt2;rport=5060;received=192.0.2.10
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>;tag=b1
Call-ID: fmt-1@example.com
CSeq: 2 INVITE
Contact: <sip:bob@198.51.100.20:5060>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS
Content-Type: application/sdp
Content-Length: 189

v=0
o=- 4711 2 IN IP4 198.51.100.20
s=-
c=IN IP4 198.51.100.20
t=0 0
m=audio 50000 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=recvonly
";

const ACK: &str = "ACK sip:bob@198.51.100.20:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKfmt3;rport
From: <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>;tag=b1
Call-ID: fmt-1@example.com
CSeq: 2 ACK
Max-Forwards: 70
Content-Length: 0

";

const BYE: &str = "BYE sip:alice@192.0.2.10:5060 SIP/2.0
Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKfmt9;rport
From: <sip:bob@example.com>;tag=b1
To: <sip:alice@example.com>;tag=a1
Call-ID: fmt-1@example.com
CSeq: 102 BYE
Max-Forwards: 70
Content-Length: 0

";

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats")
}

fn text_of(sample: &Sample) -> Vec<u8> {
    fs::read(folder().join(format!("{}.txt", sample.file))).unwrap()
}

fn read(reader: impl Read + Send) -> (Vec<Packet>, Summary) {
    let mut text = Text::new(reader);
    let mut packets = Vec::new();
    while let Some(item) = text.next() {
        match item {
            Ok(Item::Sip(packet)) => packets.push(packet),
            Ok(other) => panic!("{other:?} in a log"),
            Err(_) => assert_eq!(text.summary().messages, 0),
        }
    }
    (packets, text.summary())
}

fn replaced(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(text.to_vec()).unwrap().replace(from, to).into_bytes()
}

fn prefixed(text: &[u8], prefix: impl Fn(usize) -> String) -> Vec<u8> {
    let mut out = Vec::new();
    for (nth, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        out.extend_from_slice(prefix(nth + 1).as_bytes());
        out.extend_from_slice(line);
    }
    out
}
