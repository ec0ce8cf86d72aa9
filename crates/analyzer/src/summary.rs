//! What a ladder shows of a message: method or status, CSeq number, and what its body says.

use std::collections::HashMap;
use std::fmt::Write as _;

use midcall_wire::sdp::{Direction, Sdp};
use midcall_wire::{Message, Method, Uri};

use crate::sheet::{Format, Sheet};

/// Words messages of one trace, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Summaries {
    /// Whether the request of a transaction carried a description: then its response carries the answer.
    offered: HashMap<Box<str>, HashMap<(u32, Method), bool>>,
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
        self.described(message, message.sdp().and_then(|sdp| Sdp::parse(sdp).ok()).as_ref())
    }

    /// The same where its session description was read before.
    pub(crate) fn described<B: AsRef<[u8]>>(&mut self, message: &Message<B>, sdp: Option<&Sdp>) -> String {
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let method = message.method();
        let mut words = String::with_capacity(USUAL);
        if let Some(status) = message.status() {
            let _ = write!(words, "{status} ");
        }
        words.push_str(message.method_name());
        let _ = write!(words, " {cseq}");
        if message.is_request() {
            self.asked(message, cseq, sdp.is_some());
        }
        if let Some(sdp) = sdp {
            words.push(' ');
            words.push_str(self.role(message, cseq));
            words.push(' ');
            describe(sdp, &mut words);
        }
        if message.rseq().is_some() {
            words.push_str(" rel");
        }
        let more = match method {
            _ if message.status().is_some() => None,
            Method::Refer => referred(message).map(|user| format!("to {user}")),
            Method::Notify => fragment(message),
            Method::Update if sdp.is_none() && message.sdp().is_none() => timer(message),
            _ => None,
        };
        if let Some(more) = more {
            words.push(' ');
            words.push_str(&more);
        }
        words
    }

    /// Notes whether a request carried a description. That of an ACK is the answer to an offer in the 2xx.
    fn asked<B: AsRef<[u8]>>(&mut self, request: &Message<B>, cseq: u32, described: bool) {
        if request.method() == Method::Ack {
            return;
        }
        let call = request.call_id().unwrap_or_default();
        let offered = match self.offered.get_mut(call) {
            Some(offered) => offered,
            None => self.offered.entry(call.into()).or_default(),
        };
        offered.insert((cseq, request.method()), described);
    }

    /// What the description of a message is.
    fn role<B: AsRef<[u8]>>(&self, message: &Message<B>, cseq: u32) -> &'static str {
        let answers = match message.status() {
            None => message.method() == Method::Ack,
            Some(_) => {
                let offered = self.offered.get(message.call_id().unwrap_or_default());
                offered.and_then(|offered| offered.get(&(cseq, message.method()))) == Some(&true)
            }
        };
        if answers { "answer" } else { "offer" }
    }
}

/// Codecs of the first stream; where it is not both ways, its direction and the best codec.
fn describe(sdp: &Sdp, words: &mut String) {
    let Some(sheet) = Sheet::read(sdp.as_bytes()) else { return };
    let Some(stream) = sheet.streams.first() else { return words.push_str("without streams") };
    if stream.rejected {
        return words.push_str("refused");
    }
    let codecs = stream.formats.iter().filter_map(Format::map).map(|map| map.name);
    let mut codecs = codecs.filter(|name| !name.eq_ignore_ascii_case("telephone-event"));
    match stream.direction {
        Direction::SendRecv => {
            let start = words.len();
            for codec in codecs {
                if words.len() > start {
                    words.push('/');
                }
                words.push_str(codec);
            }
        }
        other => {
            words.push_str(other.as_str());
            words.push(' ');
            words.push_str(codecs.next().unwrap_or_default());
        }
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

/// Most summaries are no longer.
const USUAL: usize = 32;
