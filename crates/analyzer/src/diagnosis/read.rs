//! A call as a reader sees it: its messages taken apart once, and the words for them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Write as _;

use midcall_proto::dialog::Envelope;
use midcall_proto::observer::{Kind, Party};
use midcall_wire::sdp::{Media, Sdp};
use midcall_wire::{Message, Method, Name};

use crate::glance::Glance;
use crate::model::{self, Call};

/// The messages of a call, with the words that findings use for them: at a glance, and taken apart when that is asked for.
pub(crate) struct Reading<'c> {
    pub(crate) call: &'c Call,
    glances: Cow<'c, [Option<Glance>]>,
    parsed: Vec<OnceCell<Option<Message<&'c [u8]>>>>,
}

impl<'c> Reading<'c> {
    pub(crate) fn new(call: &'c Call) -> Self {
        let unread = || call.messages.iter().map(|_| OnceCell::new());
        if call.glances.len() == call.messages.len() {
            return Self { call, glances: (&call.glances).into(), parsed: unread().collect() };
        }
        let parsed: Vec<_> = call.messages.iter().map(|message| read(&message.raw)).collect();
        let glance = |message| Glance::of(message, &Envelope::read(message));
        let glances = parsed.iter().map(|parsed| parsed.as_ref().map(glance)).collect();
        Self { call, glances, parsed: parsed.into_iter().map(OnceCell::from).collect() }
    }

    /// The messages in order, at a glance; those that say nothing readable are left out.
    pub(crate) fn glances(&self) -> impl Iterator<Item = (&'c model::Message, &Glance)> {
        self.call
            .messages
            .iter()
            .zip(&*self.glances)
            .filter_map(|(own, glance)| Some((own, glance.as_ref()?)))
    }

    /// The same without copies.
    pub(crate) fn glances_of_originals(&self) -> impl Iterator<Item = (&'c model::Message, &Glance)> {
        self.glances().filter(|(own, _)| !matches!(own.kind, Kind::Again { .. }))
    }

    /// A message at a glance.
    pub(crate) fn glance(&self, n: u32) -> Option<&Glance> {
        self.glances.get(usize::try_from(n).ok()?.checked_sub(1)?)?.as_ref()
    }

    /// The messages in order, each with what it says; those that say nothing readable are left out.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&'c model::Message, &Message<&'c [u8]>)> {
        self.call.messages.iter().filter_map(|own| Some((own, self.get(own.n)?)))
    }

    /// The same without copies.
    pub(crate) fn originals(&self) -> impl Iterator<Item = (&'c model::Message, &Message<&'c [u8]>)> {
        self.messages().filter(|(own, _)| !matches!(own.kind, Kind::Again { .. }))
    }

    /// A message taken apart.
    pub(crate) fn get(&self, n: u32) -> Option<&Message<&'c [u8]>> {
        let index = usize::try_from(n).ok()?.checked_sub(1)?;
        let raw = &self.call.messages.get(index)?.raw;
        self.parsed.get(index)?.get_or_init(|| read(raw)).as_ref()
    }

    /// The bytes of the session description of a message.
    pub(crate) fn description(&self, n: u32) -> Option<&'c [u8]> {
        let place = self.glance(n)?.description()?;
        self.call.message(n)?.raw.get(place)
    }

    /// The session description of a message.
    pub(crate) fn sdp(&self, n: u32) -> Option<Sdp> {
        Sdp::parse(self.description(n)?).ok()
    }

    /// Who sent a message.
    pub(crate) fn by(&self, n: u32) -> Party {
        self.call.message(n).map_or(Party::Network, |message| message.by)
    }

    /// The name of a party.
    pub(crate) fn name(&self, party: Party) -> String {
        self.call.person(party).map_or_else(|| "the network".to_owned(), |person| person.name.clone())
    }

    /// The name of who sent a message.
    pub(crate) fn sender(&self, n: u32) -> String {
        match self.call.person(self.by(n)) {
            Some(person) => person.name.clone(),
            None => self.call.message(n).map_or_else(String::new, |message| message.from.to_string()),
        }
    }

    /// A party with the product that it says it is: "bob (FooPhone 1.2)".
    pub(crate) fn product(&self, party: Party) -> String {
        match self.call.person(party).and_then(|person| person.user_agent.as_deref()) {
            Some(agent) => format!("{} ({})", self.name(party), shorten(agent, 60)),
            None => self.name(party),
        }
    }

    /// When a message passed: "12.3 s" after the first of the call.
    pub(crate) fn time(&self, n: u32) -> String {
        let began = self.call.began();
        self.call.message(n).map_or_else(String::new, |message| seconds(message.at.since(began)))
    }

    /// How long after one message another passed.
    pub(crate) fn between(&self, first: u32, second: u32) -> std::time::Duration {
        match (self.call.message(first), self.call.message(second)) {
            (Some(first), Some(second)) => second.at.since(first.at),
            _ => std::time::Duration::ZERO,
        }
    }

    /// What a message is, in the fewest words: "re-INVITE", "200 to UPDATE".
    pub(crate) fn label(&self, n: u32) -> String {
        let Some(message) = self.get(n) else { return "message".to_owned() };
        match message.status() {
            Some(status) => match self.request_label(message).as_str() {
                "" => status.to_string(),
                request => format!("{status} to {request}"),
            },
            None => self.request_label(message),
        }
    }

    fn request_label(&self, message: &Message<&'c [u8]>) -> String {
        match message.method() {
            Method::Invite if self.is_reinvite(message) => "re-INVITE".to_owned(),
            _ => message.method_name().to_owned(),
        }
    }

    /// Whether this INVITE, or the INVITE of this response, came within a dialog.
    fn is_reinvite(&self, message: &Message<&'c [u8]>) -> bool {
        let tagged = |message: &Message<&[u8]>| message.to().is_ok_and(|to| to.tag().is_some());
        if message.is_request() {
            return tagged(message);
        }
        let branch = message.top_via().ok().and_then(|via| via.branch().map(str::to_owned));
        self.messages().find_map(|(_, other)| {
            let same = other.is_request()
                && other.method() == Method::Invite
                && other.top_via().is_ok_and(|via| via.branch() == branch.as_deref());
            same.then(|| tagged(other))
        }) == Some(true)
    }

    /// A message as a sentence names it: "the re-INVITE at 12.3 s (message 14)".
    pub(crate) fn the(&self, n: u32) -> String {
        format!("the {} at {} (message {n})", self.label(n), self.time(n))
    }

    /// The same with "a" for the first mention: "a re-INVITE at 12.3 s (message 14)".
    pub(crate) fn a(&self, n: u32) -> String {
        let label = self.label(n);
        let article = if label.starts_with(['A', 'E', 'I', 'O', 'U', '8']) { "an" } else { "a" };
        format!("{article} {label} at {} (message {n})", self.time(n))
    }

    /// A header of a message as it stands there; every line of it, with commas between.
    pub(crate) fn header(&self, n: u32, name: Name) -> Option<String> {
        let message = self.get(n)?;
        let mut lines = message.headers().filter(|header| header.name == name).peekable();
        lines.peek()?;
        let text =
            lines.map(|line| String::from_utf8_lossy(line.value).into_owned()).collect::<Vec<_>>().join(", ");
        Some(shorten(&text, 160))
    }

    /// A header with its name, for quotes: "Allow: INVITE, ACK", or "no Allow".
    pub(crate) fn quote(&self, n: u32, name: Name) -> String {
        match self.header(n, name) {
            Some(value) => format!("\"{}: {value}\"", name.as_str()),
            None => format!("no {}", name.as_str()),
        }
    }

    /// The URI of the Contact of a message, or of the Request-URI.
    pub(crate) fn contact(&self, n: u32) -> String {
        let contact = self.get(n).and_then(|message| message.contact()).and_then(Result::ok);
        contact.map_or_else(|| "none".to_owned(), |contact| shorten(contact.uri, 100))
    }

    /// The Request-URI of a request.
    pub(crate) fn uri(&self, n: u32) -> String {
        self.get(n)
            .and_then(|message| message.request_uri())
            .map_or_else(String::new, |uri| shorten(uri, 100))
    }

    /// The number in the CSeq of a message.
    pub(crate) fn cseq(&self, n: u32) -> u32 {
        self.get(n).and_then(|message| message.cseq().ok()).map_or(0, |cseq| cseq.number)
    }

    /// The status of a response.
    pub(crate) fn status(&self, n: u32) -> u16 {
        self.get(n).and_then(Message::status).unwrap_or_default()
    }

    /// The version in the o= line of a message.
    pub(crate) fn version(&self, n: u32) -> String {
        let sdp = self.sdp(n);
        sdp.as_ref().and_then(Sdp::version).map_or_else(|| "none".to_owned(), |version| version.to_string())
    }

    /// The last message before this one for which something holds.
    pub(crate) fn last_before(
        &self,
        n: u32,
        holds: impl Fn(&model::Message, &Message<&'c [u8]>) -> bool,
    ) -> Option<u32> {
        self.messages()
            .filter(|(own, _)| own.n < n)
            .filter(|(own, parsed)| holds(own, parsed))
            .map(|(own, _)| own.n)
            .last()
    }

    /// The first message behind this one for which something holds.
    pub(crate) fn next_after(
        &self,
        n: u32,
        holds: impl Fn(&model::Message, &Message<&'c [u8]>) -> bool,
    ) -> Option<u32> {
        self.messages()
            .filter(|(own, _)| own.n > n)
            .find(|(own, parsed)| holds(own, parsed))
            .map(|(own, _)| own.n)
    }

    /// The request that a response answers.
    pub(crate) fn request_of(&self, n: u32) -> Option<u32> {
        let response = self.get(n)?;
        let (cseq, branch) = (response.cseq().ok()?, response.top_via().ok()?.branch()?.to_owned());
        self.last_before(n, |_, request| {
            request.is_request()
                && request.cseq().is_ok_and(|own| (own.number, own.method) == (cseq.number, cseq.method))
                && request.top_via().is_ok_and(|via| via.branch() == Some(&branch))
        })
    }

    /// The final response to a request.
    pub(crate) fn final_of(&self, n: u32) -> Option<u32> {
        let request = self.get(n).filter(|message| message.is_request())?;
        let (cseq, branch) = (request.cseq().ok()?, request.top_via().ok()?.branch()?.to_owned());
        self.next_after(n, |_, response| {
            response.status().is_some_and(|status| status >= 200)
                && response.cseq().is_ok_and(|own| (own.number, own.method) == (cseq.number, cseq.method))
                && response.top_via().is_ok_and(|via| via.branch() == Some(&branch))
        })
    }

    /// The last description that the sender of a message gave before it.
    pub(crate) fn earlier_sdp(&self, n: u32) -> Option<u32> {
        let by = self.by(n);
        self.last_before(n, |own, parsed| own.by == by && parsed.sdp().is_some())
    }

    /// The last message of a party before this one that has this header.
    pub(crate) fn last_with(&self, n: u32, by: Party, name: Name) -> Option<u32> {
        self.last_before(n, |own, parsed| own.by == by && parsed.count(name) > 0)
    }

    /// Several messages by number: "messages 3, 5 and 8".
    pub(crate) fn list(&self, numbers: &[u32]) -> String {
        match numbers {
            [] => "no message".to_owned(),
            [one] => format!("message {one}"),
            [first @ .., last] => {
                let first: Vec<_> = first.iter().map(ToString::to_string).collect();
                format!("messages {} and {last}", first.join(", "))
            }
        }
    }
}

/// What can be read of a message, however broken it is.
fn read(raw: &[u8]) -> Option<Message<&[u8]>> {
    Message::parse_partial(raw).ok().or_else(|| Message::salvage(raw))
}

/// A time as people read it: "0.35 s", "12.3 s", "32 s", "25 min 3 s".
pub(crate) fn seconds(span: std::time::Duration) -> String {
    let micros = span.as_micros();
    match micros {
        0 => "0 s".to_owned(),
        1..10_000 => format!("{:.3} s", span.as_secs_f64()),
        10_000..1_000_000 => format!("{:.2} s", span.as_secs_f64()),
        1_000_000..100_000_000 => {
            let text = format!("{:.1}", span.as_secs_f64());
            format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
        }
        _ => {
            let whole = span.as_secs();
            let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60);
            let mut text = String::new();
            for (count, unit) in [(hours, "h"), (minutes, "min"), (rest, "s")] {
                if count > 0 {
                    let gap = if text.is_empty() { "" } else { " " };
                    let _ = write!(text, "{gap}{count} {unit}");
                }
            }
            text
        }
    }
}

/// A text cut to so many characters.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", flat.get(..end).unwrap_or_default()),
        None => flat,
    }
}

/// The formats of a stream by name: "PCMA, opus, telephone-event".
pub(crate) fn codecs(media: &Media<'_>) -> String {
    listed(media, |_| true)
}

/// The same without those that carry no voice.
pub(crate) fn voices(media: &Media<'_>) -> String {
    listed(media, |format| media.rtpmap(format).is_none_or(|map| !carries_no_voice(map.name)))
}

/// Whether an encoding is only for tones or comfort noise.
pub(crate) fn carries_no_voice(name: &str) -> bool {
    ["telephone-event", "CN"].iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn listed(media: &Media<'_>, shown: impl Fn(&str) -> bool) -> String {
    let names: Vec<_> = media
        .formats()
        .filter(|format| shown(format))
        .map(|format| match media.rtpmap(format) {
            Some(map) => map.name.to_owned(),
            None => format!("payload {format}"),
        })
        .collect();
    if names.is_empty() { "no format".to_owned() } else { names.join(", ") }
}

/// The `m=` lines of a description by type: "audio, video".
pub(crate) fn kinds(sdp: &Sdp) -> String {
    let kinds: Vec<_> = sdp
        .media()
        .map(|media| match media.rejected() {
            true => format!("{} with port 0", media.kind()),
            false => media.kind().to_owned(),
        })
        .collect();
    if kinds.is_empty() { "no stream".to_owned() } else { kinds.join(", ") }
}

/// The first words of a sentence with a capital.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
