//! Ladders: a column for each party, a line for each message.

use owo_colors::{OwoColorize, Style};

use crate::model::{Call, Message};

/// Draws lines that fit below each other, each beginning with its first column.
///
/// ```
/// use midcall_analyzer::report::ladder::Columns;
///
/// let columns = Columns::new(2, 20);
/// assert_eq!(columns.head(&["alice", "bob"]), "alice             bob");
/// assert_eq!(columns.arrow(0, 1, "BYE 7", Default::default(), '-'), "|-- BYE 7 --------->|");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    count: usize,
    distance: usize,
}

impl Columns {
    /// So many columns at this distance. At least two columns, and room for an arrow between them.
    #[must_use]
    pub const fn new(count: usize, distance: usize) -> Self {
        let count = if count < 2 { 2 } else { count };
        let distance = if distance < LEAST { LEAST } else { distance };
        Self { count, distance }
    }

    /// So many columns in a line of this width.
    #[must_use]
    pub const fn fitting(count: usize, width: usize) -> Self {
        let spaces = if count < 2 { 1 } else { count - 1 };
        let distance = width.saturating_sub(1) / spaces;
        Self::new(count, if distance > WIDEST { WIDEST } else { distance })
    }

    /// The most columns that a line of this width has room for.
    #[must_use]
    pub const fn most(width: usize) -> usize {
        width.saturating_sub(1) / LEAST + 1
    }

    /// Names above their columns: the first begins there, the last ends there, the others stand around it.
    #[must_use]
    pub fn head<S: AsRef<str>>(&self, names: &[S]) -> String {
        let mut line = String::new();
        for (column, name) in names.iter().enumerate() {
            let place = column * self.distance;
            let room =
                if column == 0 || column + 1 == self.count { self.distance / 2 } else { self.distance };
            let name = shortened(name.as_ref(), room.max(2) - 1);
            let wide = name.chars().count();
            let start = match column {
                0 => place,
                last if last + 1 == self.count => (place + 1).saturating_sub(wide),
                _ => place.saturating_sub(wide / 2),
            };
            line.push_str(&" ".repeat(start.saturating_sub(line.chars().count())));
            line.push_str(&name);
        }
        line
    }

    /// A message from one column to another.
    #[must_use]
    pub fn arrow(&self, from: usize, to: usize, label: &str, style: Style, shaft: char) -> String {
        let (left, right) = (from.min(to), from.max(to));
        let inner = self.distance * (right - left).max(1) - 1;
        let label = shortened(label, inner.saturating_sub(6));
        let rest: String =
            std::iter::repeat_n(shaft, inner.saturating_sub(label.chars().count() + 6)).collect();
        let label = label.style(style);
        let arrow = if from < to {
            format!("{shaft}{shaft} {label} {rest}{shaft}>")
        } else {
            format!("<{shaft} {label} {rest}{shaft}{shaft}")
        };
        self.between(left, right.max(left + 1), &arrow)
    }

    /// A remark in the middle between two columns.
    #[must_use]
    pub fn remark(&self, from: usize, to: usize, text: &str, style: Style) -> String {
        let inner = self.distance * from.abs_diff(to).max(1) - 1;
        let text = format!("{:^inner$}", shortened(text, inner));
        self.between(from.min(to), from.max(to), &text.style(style).to_string())
    }

    /// The columns, with something between two of them.
    fn between(&self, left: usize, right: usize, what: &str) -> String {
        let mut line = String::new();
        for column in (0..self.count).filter(|column| *column <= left || *column >= right) {
            line.push('|');
            match column {
                _ if column + 1 == self.count => {}
                _ if column == left => line.push_str(what),
                _ => line.push_str(&" ".repeat(self.distance - 1)),
            }
        }
        line
    }
}

/// What a message is called.
pub(super) fn name(message: &Message) -> &str {
    if message.summary.is_empty() { "(not kept)" } else { &message.summary }
}

/// What stands on the arrow of a message: what it is called, and what it asks to change.
pub(super) fn caption(call: &Call, message: &Message) -> String {
    let mut caption = name(message).to_owned();
    let change = call.changes.iter().find(|change| change.messages.first() == Some(&message.n));
    if let Some(change) = change.filter(|change| !change.what.is_empty()) {
        caption.push_str(&format!(" ({})", change.what.join(", ")));
    }
    caption
}

/// At most so many characters, the last of them a sign that there were more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut text: String = text.chars().take(most.saturating_sub(1)).collect();
    if most > 0 {
        text.push('…');
    }
    text
}

/// The least distance of two columns: an arrow and a method with its number.
const LEAST: usize = 16;
/// The most: wider arrows are harder to follow.
const WIDEST: usize = 72;
