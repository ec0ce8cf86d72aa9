//! Mermaid: the ladder of a call as a sequence diagram, for a ticket or a page that renders it.

use std::fmt::{self, Write as _};

use midcall_proto::observer::Kind;

use super::ladder::caption;
use super::lifelines::{ends, lifelines};
use crate::model::Call;

/// The diagrams of these calls: of one call the diagram itself, of several a Markdown page with a diagram for each.
#[must_use]
pub fn document(calls: &[Call]) -> String {
    if let [call] = calls {
        return diagram(call);
    }
    let mut out = String::new();
    for call in calls {
        let _ = write!(
            out,
            "## Call {}: {} to {}\n\n```mermaid\n{}```\n\n",
            call.number,
            Plain(&call.caller.name),
            Plain(&call.callee.name),
            diagram(call)
        );
    }
    out
}

/// The diagram of a call. Its numbers are those of the messages; findings are notes below the message that broke the rule.
#[must_use]
pub fn diagram(call: &Call) -> String {
    let lines = lifelines(call);
    let mut out = "sequenceDiagram\n".to_owned();
    for (at, line) in lines.iter().enumerate() {
        let _ = writeln!(out, "    participant p{at} as {}", Escaped(&line.label));
    }
    let mut expected = None;
    for message in &call.messages {
        if expected != Some(message.n) {
            let _ = writeln!(out, "    autonumber {}", message.n);
        }
        expected = message.n.checked_add(1);
        let (from, to) = ends(&lines, message);
        let arrow = if message.raw.starts_with(b"SIP/") { "-->>" } else { "->>" };
        let again = match message.kind {
            Kind::Again { of, .. } => format!(" (again {of})"),
            Kind::First | Kind::Orphan => String::new(),
        };
        let _ = writeln!(
            out,
            "    p{from}{arrow}p{to}: {}",
            Escaped(&format!("{}{again}", caption(call, message)))
        );
        for finding in call.findings.iter().filter(|finding| finding.at == message.n) {
            let note = format!("{} {}: {}", finding.severity, finding.code, finding.title);
            let _ = writeln!(out, "    Note over p{},p{}: {}", from.min(to), from.max(to), Escaped(&note));
        }
    }
    out
}

/// Text in a diagram: whatever could end a line or begin a keyword or an element goes by its number.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.split(' ').enumerate() {
            if at > 0 {
                f.write_char(' ')?;
            }
            // Alone or before a sign, this word closes a block.
            let whole = word.get(..3).is_some_and(|first| first.eq_ignore_ascii_case("end"));
            for letter in word.chars() {
                if !whole && (letter.is_alphanumeric() || PLAIN.contains(letter)) {
                    f.write_char(letter)?;
                } else {
                    write!(f, "#{};", u32::from(letter))?;
                }
            }
        }
        Ok(())
    }
}

/// Text in a heading: one line without marks.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            f.write_char(if letter.is_alphanumeric() || PLAIN.contains(letter) { letter } else { '_' })?;
        }
        Ok(())
    }
}

const PLAIN: &str = ".,()@/_=-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const BREAKS: &str = include_str!("../../../proto/tests/rules/UP-13/breaks.ladder");

    #[test]
    fn a_call_is_a_diagram_with_its_findings_as_notes() {
        insta::assert_snapshot!(diagram(&sample::call(BREAKS)));
    }

    #[test]
    fn several_calls_are_a_page() {
        let call = sample::call(BREAKS);
        let page = document(&[call.clone(), call]);
        assert_eq!(page.matches("```mermaid\nsequenceDiagram\n").count(), 2, "{page}");
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        let told = Escaped("end; %% <b> #35; loop x\nNote over p0: gotcha \u{202e}").to_string();
        assert_eq!(
            told,
            "#101;#110;#100;#59; #37;#37; #60;b#62; #35;35#59; loop x#10;Note over p0#58; gotcha #8238;"
        );
    }
}
