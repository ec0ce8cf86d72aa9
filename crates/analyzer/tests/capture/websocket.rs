//! The same call over WebSocket.

use midcall_analyzer::source::{Packet, Summary};
use midcall_proto::flow::Transport;

use super::segments::Segments;
use super::wire::{as_lines, call, lines, read, starts, v4};

const REQUEST: &[u8] = b"GET /sip HTTP/1.1\r\nHost: example.com\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

/// A frame; those of the client are masked (RFC 6455 §5.3).
pub(crate) fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask = if masked { [0x37, 0xfa, 0x21, 0x3d] } else { [0; 4] };
    let bit = u8::from(masked) << 7;
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(bit | payload.len() as u8),
        126..=65_535 => {
            frame.push(bit | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(bit | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(mask);
    }
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// How a message is put into frames.
type Form = fn(bool, &[u8]) -> Vec<u8>;

const FORMS: &[(&str, Form)] = &[
    ("text", |masked, bytes| frame(0x81, masked, bytes)),
    ("binary", |masked, bytes| frame(0x82, masked, bytes)),
    ("in three frames, with a ping among them", |masked, bytes| {
        let (first, rest) = bytes.split_at(bytes.len() / 3);
        let (second, third) = rest.split_at(rest.len() / 2);
        [
            frame(0x01, masked, first),
            frame(0x89, masked, b"ping"),
            frame(0x00, masked, second),
            frame(0x80, masked, third),
        ]
        .concat()
    }),
];

fn conversation(upgraded: bool, piece: usize, form: Form) -> Segments {
    let mut segments = if upgraded { Segments::open(v4()) } else { Segments::within(v4()) };
    if upgraded {
        segments.send(0, REQUEST);
        segments.send(1, RESPONSE);
    }
    for (forth, bytes) in call() {
        for piece in form(forth, &bytes).chunks(piece) {
            segments.send(usize::from(!forth), piece);
        }
        segments.wait(30);
    }
    segments
}

fn read_all(segments: &Segments) -> (Vec<Packet>, Summary) {
    let (messages, summary) = read(&segments.file());
    assert!(messages.iter().all(|packet| packet.transport == Transport::Ws && !packet.cut));
    (messages, summary)
}

#[test]
fn a_call_over_websocket_is_the_same_call() {
    for (name, form) in FORMS {
        for (upgraded, piece) in
            [(true, 100_000), (true, 1), (true, 7), (true, 700), (false, 100_000), (false, 700)]
        {
            if !upgraded && name.contains("three") {
                // Without the upgrade it is known by the first frame, which a message of its own must fill.
                continue;
            }
            let (messages, summary) = read_all(&conversation(upgraded, piece, *form));
            let what = format!("{name}, upgrade seen: {upgraded}, in pieces of {piece}: {summary:?}");
            assert_eq!(as_lines(&messages), lines(v4()), "{what}");
            let pings = if name.contains("ping") { call().len() as u64 } else { 0 };
            assert_eq!(summary.skipped_for("keep-alives"), pings, "{what}");
            assert_eq!(summary.skipped.len(), usize::from(pings > 0), "{what}");
        }
    }
}

#[test]
fn what_is_no_sip_in_a_frame_is_counted_by_its_reason() {
    let mut segments = Segments::open(v4());
    segments.send(0, REQUEST);
    segments.send(1, RESPONSE);
    let options = b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: x\r\n\r\n";
    segments.send(0, &frame(0xc1, true, b"\xaa\x56\x2a\x49"));
    segments.send(0, &frame(0x81, true, b"{\"hello\":1}"));
    segments.send(0, &frame(0x81, true, b"\r\n\r\n"));
    segments.send(0, &frame(0x81, true, options));
    for piece in frame(0x82, false, &[b'x'; 70_000]).chunks(1_400) {
        segments.send(1, piece);
    }
    segments.send(1, &frame(0x8a, false, b""));
    segments.send(1, &frame(0x81, false, options));
    let (messages, summary) = read_all(&segments);
    assert_eq!(starts(&messages), ["OPTIONS sip:a@example.com SIP/2.0"; 2]);
    for (reason, count) in [
        ("WebSocket messages compressed with permessage-deflate", 1),
        ("WebSocket messages without SIP", 1),
        ("messages longer than 65,535 bytes", 1),
        ("keep-alives", 2),
    ] {
        assert_eq!(summary.skipped_for(reason), count, "{reason}: {summary:?}");
    }
}

#[test]
fn behind_a_hole_the_next_frame_at_the_start_of_a_segment_is_read() {
    let forth: Vec<_> =
        call().into_iter().filter(|(forth, _)| *forth).map(|(_, bytes)| frame(0x81, true, &bytes)).collect();
    let mut segments = Segments::open(v4());
    segments.send(0, REQUEST);
    segments.send(0, &forth[0][..300]);
    segments.pass(0, 500);
    segments.send(0, &forth[0][800..]);
    segments.send(0, &forth[1]);
    segments.send(0, &forth[2]);
    let (messages, summary) = read_all(&segments);
    assert_eq!(messages.len(), 2);
    assert_eq!(summary.skipped_for("holes in TCP connections"), 1);
}
