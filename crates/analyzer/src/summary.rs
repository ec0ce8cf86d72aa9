//! What a ladder shows of a message: method or status, CSeq number, and what its body says.

use std::collections::HashMap;

use midcall_wire::sdp::{Direction, Sdp};
use midcall_wire::{Message, Method, Uri};

/// Words messages of one trace, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Summaries {
    /// Whether the request of a transaction carried a description: then its response carries the answer.
    offered: HashMap<(String, u32, Method), bool>,
}

impl Summaries {
    /// Method or status, CSeq number, and what the body says.
    ///
    /// ```
    /// use midcall_analyzer::Summaries;
    /// use midcall_wire::Message;
    ///
    /// let message = Message::parse(b"BYE sip:bob@192.0.2.2 SIP/2.0\r\nCall-ID: c\r\nCSeq: 7 BYE\r\n\r\n").unwrap();
    /// assert_eq!(Summaries::default().of(&message), "BYE 7");
    /// ```
    pub fn of<B: AsRef<[u8]>>(&mut self, message: &Message<B>) -> String {
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let method = message.method();
        let mut words = match message.status() {
            Some(status) => vec![format!("{status} {} {cseq}", message.method_name())],
            None => vec![format!("{} {cseq}", message.method_name())],
        };
        let sdp = message.sdp().and_then(|sdp| Sdp::parse(sdp).ok());
        let role = self.role(message, cseq, sdp.is_some());
        words.extend(sdp.map(|sdp| format!("{role} {}", described(&sdp))));
        let reliable = message.rseq().is_some();
        words.extend(reliable.then(|| "rel".to_owned()));
        if message.status().is_none() {
            match method {
                Method::Refer => words.extend(referred(message).map(|user| format!("to {user}"))),
                Method::Notify => words.extend(fragment(message)),
                Method::Update if message.sdp().is_none() => words.extend(timer(message)),
                _ => {}
            }
        }
        words.join(" ")
    }

    fn role<B: AsRef<[u8]>>(&mut self, message: &Message<B>, cseq: u32, described: bool) -> &'static str {
        let call = message.call_id().unwrap_or_default().to_owned();
        match message.status() {
            // The answer to an offer in the 2xx.
            None if message.method() == Method::Ack => "answer",
            None => {
                self.offered.insert((call, cseq, message.method()), described);
                "offer"
            }
            Some(_) => match self.offered.get(&(call, cseq, message.method())) {
                Some(true) => "answer",
                _ => "offer",
            },
        }
    }
}

/// Codecs of the first stream; where it is not both ways, its direction and the best codec.
fn described(sdp: &Sdp) -> String {
    let Some(media) = sdp.media_at(0) else { return "without streams".to_owned() };
    if media.rejected() {
        return "refused".to_owned();
    }
    let codecs: Vec<String> = media
        .formats()
        .filter_map(|format| {
            let map = media.rtpmap(format)?;
            (!map.name.eq_ignore_ascii_case("telephone-event")).then(|| map.name.to_owned())
        })
        .collect();
    match media.direction() {
        Direction::SendRecv => codecs.join("/"),
        other => format!("{} {}", other.as_str(), codecs.first().map_or("", String::as_str)),
    }
}

fn referred<B: AsRef<[u8]>>(message: &Message<B>) -> Option<String> {
    let to = message.refer_to()?.ok()?;
    Uri::parse(to.uri).ok()?.user.map(str::to_owned)
}

/// The status line that a NOTIFY of a transfer carries, or its state.
fn fragment<B: AsRef<[u8]>>(message: &Message<B>) -> Option<String> {
    let line = std::str::from_utf8(message.body()).ok().and_then(|body| body.lines().next())?;
    Some(line.trim_start_matches("SIP/2.0 ").to_owned()).filter(|line| !line.is_empty())
}

fn timer<B: AsRef<[u8]>>(message: &Message<B>) -> Option<String> {
    let timer = message.session_expires()?.ok()?;
    Some(format!("refresh {} s", timer.seconds))
}
