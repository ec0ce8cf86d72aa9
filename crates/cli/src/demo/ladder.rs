//! The ladder of the demo: a column for each agent, a line for each message.

use std::net::SocketAddr;

use midcall_analyzer::Summaries;
use midcall_analyzer::report::ladder::Columns;
use midcall_wire::Message;
use owo_colors::{OwoColorize, Style};

/// Draws lines that fit below each other.
#[derive(Debug)]
pub(super) struct Ladder {
    agents: Vec<(&'static str, SocketAddr)>,
    columns: Columns,
    summaries: Summaries,
}

impl Ladder {
    pub(super) fn new(agents: Vec<(&'static str, SocketAddr)>) -> Self {
        let columns = Columns::new(agents.len(), WIDTH);
        Self { agents, columns, summaries: Summaries::default() }
    }

    /// The names above their columns.
    pub(super) fn head(&self) -> String {
        let names = self.agents.iter().map(|(name, address)| format!("{name} {}", address.port()));
        let head = self.columns.head(&names.collect::<Vec<_>>());
        format!("{} {}", " ".repeat(TIME), head.bold())
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
        let label = self.summaries.of(&message);
        let style = match message.status() {
            None => Style::new().bold(),
            Some(100..200) => Style::new().dimmed(),
            Some(200..300) => Style::new().green(),
            Some(_) => Style::new().yellow(),
        };
        Some(format!("{} {}", time(at), self.columns.arrow(from, to, &label, style, '-')))
    }

    /// Audio begins to flow.
    pub(super) fn flows(&self, from: usize, to: usize, codec: &str) -> String {
        let label = format!("RTP {codec}");
        format!("{} {}", " ".repeat(TIME), self.columns.arrow(from, to, &label, Style::new().magenta(), '='))
    }

    /// Audio stops.
    pub(super) fn stops(&self, from: usize, to: usize) -> String {
        let text = format!("RTP of {} stops", self.name(from));
        format!("{} {}", " ".repeat(TIME), self.columns.remark(from, to, &text, Style::new().magenta()))
    }

    fn name(&self, column: usize) -> &'static str {
        self.agents.get(column).map_or("?", |(name, _)| name)
    }

    fn column(&self, address: SocketAddr) -> Option<usize> {
        self.agents.iter().position(|(_, own)| *own == address)
    }
}

fn time(at: f64) -> String {
    format!("{at:TIME$.3}").dimmed().to_string()
}

const TIME: usize = 7;
/// From one column to the next.
const WIDTH: usize = 44;

#[cfg(test)]
mod tests;
