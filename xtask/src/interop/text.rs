//! The texts a scripted peer sends: session descriptions and reason phrases.

use std::fmt::Write as _;

use super::ladder::SdpWords;

/// The session description a row asks for: one codec in an answer, several in an offer.
///
/// `origin` holds session and version, `media` the first port.
pub(crate) fn description(words: &SdpWords, answer: bool, origin: (u32, i64), media: u16) -> String {
    let (session, version) = origin;
    let base = i64::from(media) + words.port.unwrap_or(0);
    let address = words.connection.as_deref().unwrap_or("127.0.0.1");
    let mut text =
        format!("v=0\no=peer {session} {version} IN IP4 127.0.0.1\ns=-\nc=IN IP4 {address}\nt=0 0\n");
    let audio = [("audio".to_string(), true)];
    let streams = words.media.as_deref().unwrap_or(&audio);
    let direction = words.direction.as_deref().unwrap_or("sendrecv");
    for (index, (kind, alive)) in streams.iter().enumerate() {
        let port = if *alive { base + 2 * i64::try_from(index).unwrap_or(0) } else { 0 };
        let default = match kind.as_str() {
            "audio" if answer => vec!["pcmu"],
            "audio" => vec!["pcmu", "pcma", "telephone-event"],
            "image" => vec!["t38"],
            _ => vec!["vp8"],
        };
        let codecs = match &words.codecs {
            Some(codecs) if kind == "audio" => codecs.iter().map(String::as_str).collect(),
            _ => default,
        };
        let formats: Vec<&str> = codecs.iter().map(|codec| payload(codec).0).collect();
        let protocol = if kind == "image" { "udptl" } else { "RTP/AVP" };
        let _ = writeln!(text, "m={kind} {port} {protocol} {}", formats.join(" "));
        for codec in codecs {
            let (number, map) = payload(codec);
            if kind != "image" {
                let _ = writeln!(text, "a=rtpmap:{number} {map}");
            }
        }
        if kind != "image" {
            let _ = writeln!(text, "a={direction}");
        }
    }
    text
}

fn payload(codec: &str) -> (&'static str, &'static str) {
    match codec {
        "pcmu" => ("0", "PCMU/8000"),
        "pcma" => ("8", "PCMA/8000"),
        "g722" => ("9", "G722/8000"),
        "telephone-event" => ("101", "telephone-event/8000"),
        "vp8" => ("96", "VP8/90000"),
        "t38" => ("t38", ""),
        _ => ("98", "X-UNHEARD-OF/8000"),
    }
}

/// The usual words of a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        603 => "Decline",
        _ => "Status",
    }
}
