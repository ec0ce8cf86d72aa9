//! What the first line of a message hints at, before anybody reads the rest.

use midcall_wire::Method;

use crate::rules::methods::END_USAGES;

/// What a message may mean for its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// A request with which a usage of its dialog may end.
    Ends,
    /// A final response to something that failed.
    Fails,
    /// A response to something that goes on.
    GoesOn,
    /// Nothing.
    Nothing,
}

impl Hint {
    /// That of these bytes, whatever they are.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let mut words = message.trim_ascii_start().splitn(2, |byte| *byte == b' ');
        let (Some(first), Some(rest)) = (words.next(), words.next()) else { return Self::Nothing };
        if !first.eq_ignore_ascii_case(b"SIP/2.0") {
            let ends = std::str::from_utf8(first).is_ok_and(|name| END_USAGES.has(Method::parse(name)));
            return if ends { Self::Ends } else { Self::Nothing };
        }
        match rest.first_chunk::<3>() {
            None | Some(b"100") => Self::Nothing,
            Some([b'1' | b'2', ..]) => Self::GoesOn,
            Some(_) => Self::Fails,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_hint_at_what_becomes_of_a_call() {
        let of = |line: &str| Hint::of(line.as_bytes());
        assert_eq!(["BYE sip:a SIP/2.0\r\n", "\r\n\r\nNOTIFY sip:a"].map(of), [Hint::Ends; 2]);
        assert_eq!(["SIP/2.0 486 Busy Here\r\n", "sip/2.0 401 "].map(of), [Hint::Fails; 2]);
        assert_eq!(["SIP/2.0 180 Ringing\r\n", "SIP/2.0 200 OK\r\n"].map(of), [Hint::GoesOn; 2]);
        let nothing =
            ["INVITE sip:a SIP/2.0\r\n", "SIP/2.0 100 Trying\r\n", "SIP/2.0 4", "BYE", "", "\u{80} "];
        assert_eq!(nothing.map(of), [Hint::Nothing; 6]);
    }
}
