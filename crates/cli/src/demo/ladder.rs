//! The ladder of the demo: a column for each agent, a line for each message.

use std::collections::HashMap;
use std::net::SocketAddr;

use midcall_wire::sdp::{Direction, Sdp};
use midcall_wire::{Message, Method, Uri};
use owo_colors::{OwoColorize, Style};

/// Draws lines that fit below each other.
#[derive(Debug)]
pub(super) struct Ladder {
    agents: Vec<(&'static str, SocketAddr)>,
    /// Whether the request of a transaction carried a description: then its response carries the answer.
    offered: HashMap<(String, u32, Method), bool>,
}

impl Ladder {
    pub(super) fn new(agents: Vec<(&'static str, SocketAddr)>) -> Self {
        Self { agents, offered: HashMap::new() }
    }

    /// The names above their columns.
    pub(super) fn head(&self) -> String {
        let mut line = String::new();
        for (column, (name, address)) in self.agents.iter().enumerate() {
            let text = format!("{name} {}", address.port());
            let start = place(column).saturating_sub(if column == 0 { 0 } else { text.len() / 2 });
            // The last name ends where its column is, lest the line grows.
            let start = if column + 1 == self.agents.len() && column > 0 {
                place(column) + 1 - text.len()
            } else {
                start
            };
            line.push_str(&" ".repeat(start.saturating_sub(line.len())));
            line.push_str(&text);
        }
        line.bold().to_string()
    }

    /// What happens next, in words.
    pub(super) fn act(at: f64, text: &str) -> String {
        format!("{} {}", time(at), text.bold().cyan())
    }

    /// A SIP message.
    pub(super) fn message(
        &mut self,
        at: f64,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) -> Option<String> {
        let message = Message::parse(bytes).ok()?;
        let (from, to) = (self.column(from)?, self.column(to)?);
        let label = self.label(&message);
        let style = match message.status() {
            None => Style::new().bold(),
            Some(100..200) => Style::new().dimmed(),
            Some(200..300) => Style::new().green(),
            Some(_) => Style::new().yellow(),
        };
        Some(format!("{} {}", time(at), self.arrow(from, to, &label, style, '-')))
    }

    /// Audio begins to flow.
    pub(super) fn flows(&self, from: usize, to: usize, codec: &str) -> String {
        let label = format!("RTP {codec}");
        format!("{} {}", " ".repeat(TIME), self.arrow(from, to, &label, Style::new().magenta(), '='))
    }

    /// Audio stops.
    pub(super) fn stops(&self, from: usize, to: usize) -> String {
        let inner = WIDTH - 1;
        let text = format!("{:^inner$}", format!("RTP of {} stops", self.name(from)));
        let text = text.magenta().to_string();
        format!("{} {}", " ".repeat(TIME), self.between(from.min(to), to.max(from), &text))
    }

    fn name(&self, column: usize) -> &'static str {
        self.agents.get(column).map_or("?", |(name, _)| name)
    }

    fn column(&self, address: SocketAddr) -> Option<usize> {
        self.agents.iter().position(|(_, own)| *own == address)
    }

    fn arrow(&self, from: usize, to: usize, label: &str, style: Style, shaft: char) -> String {
        let (left, right) = (from.min(to), from.max(to));
        let inner = WIDTH * (right - left) - 1;
        let label: String = label.chars().take(inner.saturating_sub(6)).collect();
        let rest: String =
            std::iter::repeat_n(shaft, inner.saturating_sub(label.chars().count() + 6)).collect();
        let label = label.style(style);
        let arrow = if from < to {
            format!("{shaft}{shaft} {label} {rest}{shaft}>")
        } else {
            format!("<{shaft} {label} {rest}{shaft}{shaft}")
        };
        self.between(left, right, &arrow)
    }

    /// The columns, with this between two of them.
    fn between(&self, left: usize, right: usize, what: &str) -> String {
        let mut line = String::new();
        for column in (0..self.agents.len()).filter(|column| *column <= left || *column >= right) {
            line.push('|');
            match column {
                _ if column + 1 == self.agents.len() => {}
                _ if column == left => line.push_str(what),
                _ => line.push_str(&" ".repeat(WIDTH - 1)),
            }
        }
        line
    }

    /// Method, CSeq number, and what the body says.
    fn label(&mut self, message: &Message<&[u8]>) -> String {
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
                Method::Notify => words.push(fragment(message)),
                Method::Update if message.sdp().is_none() => words.extend(timer(message)),
                _ => {}
            }
        }
        words.join(" ")
    }

    fn role(&mut self, message: &Message<&[u8]>, cseq: u32, described: bool) -> &'static str {
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

fn referred(message: &Message<&[u8]>) -> Option<String> {
    let to = message.refer_to()?.ok()?;
    Uri::parse(to.uri).ok()?.user.map(str::to_owned)
}

/// The status line that a NOTIFY of a transfer carries, or its state.
fn fragment(message: &Message<&[u8]>) -> String {
    let line = std::str::from_utf8(message.body()).ok().and_then(|body| body.lines().next());
    line.map(|line| line.trim_start_matches("SIP/2.0 ").to_owned()).unwrap_or_default()
}

fn timer(message: &Message<&[u8]>) -> Option<String> {
    let timer = message.session_expires()?.ok()?;
    Some(format!("refresh {} s", timer.seconds))
}

fn time(at: f64) -> String {
    format!("{at:TIME$.3}").dimmed().to_string()
}

fn place(column: usize) -> usize {
    TIME + 1 + column * WIDTH
}

const TIME: usize = 7;
/// From one column to the next.
const WIDTH: usize = 44;

#[cfg(test)]
mod tests;
