//! How much of a message is accepted.

/// Bounds on what a peer may send; passing one is a [`ParseError`](crate::ParseError).
///
/// ```
/// use midcall_wire::{Limit, Limits, Message, What};
///
/// let limits = Limits { headers: 1, ..Limits::default() };
/// let error = Message::parse_with("OPTIONS sip:a.example SIP/2.0\r\nA: 1\r\nB: 2\r\n\r\n", &limits).unwrap_err();
/// assert_eq!(error.what, What::Limit(Limit::Headers));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message.
    pub message: usize,
    /// Header lines of a message.
    pub headers: usize,
    /// Bytes of one header line, its continuation lines included.
    pub header_line: usize,
    /// Bytes of the Request-URI.
    pub uri: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 65_535, headers: 256, header_line: 16 * 1024, uri: 2 * 1024 }
    }
}
