//! The message everybody parses and writes: an 860-byte re-INVITE that puts a call on hold.

/// The bytes of the message.
pub const REINVITE: &[u8] = concat!(
    "INVITE sip:bob@192.0.2.20:5060;transport=udp SIP/2.0\r\n",
    "Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK7f3a9c2e51d8\r\n",
    "Route: <sip:192.0.2.1;lr>\r\n",
    "Max-Forwards: 70\r\n",
    "From: \"Alice\" <sip:alice@example.com>;tag=1d9f4b7ac3\r\n",
    "To: <sip:bob@example.org>;tag=8e2c60d5b1\r\n",
    "Call-ID: 5f0c1b7e9a2d4836@192.0.2.10\r\n",
    "CSeq: 471 INVITE\r\n",
    "Contact: <sip:alice@192.0.2.10:5062>\r\n",
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO\r\n",
    "Supported: timer, 100rel, replaces\r\n",
    "Session-Expires: 1800;refresher=uac\r\n",
    "Min-SE: 90\r\n",
    "User-Agent: midcall-bench\r\n",
    "Accept: application/sdp\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 235\r\n",
    "\r\n",
    "v=0\r\n",
    "o=alice 2890844526 2890844528 IN IP4 192.0.2.10\r\n",
    "s=-\r\n",
    "c=IN IP4 192.0.2.10\r\n",
    "t=0 0\r\n",
    "m=audio 49170 RTP/AVP 0 8 96\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "a=rtpmap:8 PCMA/8000\r\n",
    "a=rtpmap:96 telephone-event/8000\r\n",
    "a=fmtp:96 0-15\r\n",
    "a=ptime:20\r\n",
    "a=sendonly\r\n",
)
.as_bytes();

/// What a UA reads of every in-dialog request before it can do anything with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Branch of the topmost Via.
    pub branch: &'a [u8],
    /// Tag of From.
    pub from_tag: &'a [u8],
    /// Tag of To.
    pub to_tag: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// Number of CSeq.
    pub cseq: u32,
    /// Port of the URI in Contact.
    pub contact_port: u16,
    /// The body.
    pub body: &'a [u8],
}

/// What everybody must have read of [`REINVITE`].
pub fn facts() -> Facts<'static> {
    Facts {
        branch: b"z9hG4bK7f3a9c2e51d8",
        from_tag: b"1d9f4b7ac3",
        to_tag: b"8e2c60d5b1",
        call_id: b"5f0c1b7e9a2d4836@192.0.2.10",
        cseq: 471,
        contact_port: 5062,
        body: &REINVITE[REINVITE.len() - 235..],
    }
}
