//! What must hold for any bytes taken as a stream, cut in any way.

use midcall_wire::{Frame, Framer, Limits, Message, ParseError};

/// The first byte says how long the pieces are in which the others come.
pub(crate) fn check(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    // Small enough that the limits are met, too.
    let limits = Limits { message: 2048, ..Limits::default() };
    let whole = frames(stream, stream.len(), limits);
    for piece in [usize::from(piece), 1, 2] {
        assert_eq!(frames(stream, piece, limits), whole, "in pieces of {piece} it is another stream");
    }
    let messages = whole.iter().filter_map(|frame| match frame {
        Ok(Frame::Message(bytes)) => Some(bytes),
        _ => None,
    });
    let mut length = 0;
    for bytes in messages {
        length += bytes.len();
        assert!(bytes.len() <= limits.message);
        if let Ok(message) = Message::parse(bytes.as_slice()) {
            assert_eq!(message.bytes(), bytes, "the framer and the parser disagree about where it ends");
        }
    }
    assert!(length <= stream.len(), "more came out than went in");
    listen(stream, usize::from(piece), limits);
}

/// A listener takes the same stream with holes in it.
fn listen(stream: &[u8], piece: usize, limits: Limits) {
    let mut framer = Framer::listening(limits);
    let mut length = 0;
    for (nth, bytes) in stream.chunks(piece.max(1)).enumerate() {
        if nth % 7 == 3 {
            length += framer.gap(piece * nth).map_or(0, |part| part.len());
        }
        framer.push(bytes);
        for frame in framer.by_ref() {
            if let Ok(Frame::Message(bytes)) = frame {
                length += bytes.len();
            }
        }
        assert!(!framer.is_broken(), "a listener never gives up");
        assert!(
            framer.buffered() <= 3 * 4096 + limits.message + bytes.len(),
            "the buffer grows without bound"
        );
    }
    length += framer.finish().map_or(0, |part| part.len());
    assert!(length <= stream.len(), "more came out than went in");
}

/// What comes out, without single CRLFs: whether one of them begins a ping is known only when the next piece is there.
fn frames(stream: &[u8], piece: usize, limits: Limits) -> Vec<Result<Frame, ParseError>> {
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        framer.push(bytes);
        frames.extend(framer.by_ref());
        assert!(framer.buffered() <= limits.message + bytes.len(), "the buffer grows without bound");
    }
    frames.retain(|frame| *frame != Ok(Frame::Pong));
    frames
}
