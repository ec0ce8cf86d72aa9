//! Which call a message is of, before it is read.

/// The value of the Call-ID header, or what looks like one: no more is needed to tell calls apart.
pub(super) fn call_id(message: &[u8]) -> Option<&[u8]> {
    // Streams keep a connection alive with empty lines (RFC 5626 §4.4.1).
    let mut rest = skip_blank(message);
    loop {
        rest = rest.get(memchr::memchr(b'\n', rest)? + 1..)?;
        let name = match rest.first()? {
            b'C' | b'c' if rest.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"Call-ID")) => 7,
            b'I' | b'i' => 1,
            b'\r' | b'\n' => return None,
            _ => continue,
        };
        let after = rest.get(name..).map(skip_blank)?;
        if let Some(value) = after.strip_prefix(b":") {
            let mut value = skip_blank(value);
            value = value.get(..memchr::memchr2(b'\r', b'\n', value).unwrap_or(value.len()))?;
            while let [before @ .., b' ' | b'\t'] = value {
                value = before;
            }
            return Some(value);
        }
    }
}

/// What follows the white space of SIP, lines that were folded included.
fn skip_blank(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}
