//! The table of verbs, for `--help` and for the prompt.

use super::words::{EXPECTATIONS, VERBS};

/// The table, a line per verb or more, with what follows it in one column and what it does in another. `paint` colours the verb.
pub(crate) fn verbs(paint: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for (verb, arguments, means) in VERBS {
        let left = if arguments.is_empty() { verb.len() } else { verb.len() + 1 + arguments.len() };
        text.push_str(format!("  {} {arguments}", paint(verb)).trim_end());
        let mut at = 2 + left;
        for line in wrapped(means) {
            if at + 2 > COLUMN {
                text.push('\n');
                at = 0;
            }
            text.push_str(&" ".repeat(COLUMN - at));
            text.push_str(&line);
            at = COLUMN;
        }
        text.push('\n');
    }
    text
}

/// What `expect` can wait for.
pub(crate) fn expectations() -> String {
    let words: Vec<&str> = EXPECTATIONS.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

/// A text in lines that fit beside the first column.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if COLUMN + line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Where the second column begins.
const COLUMN: usize = 34;
/// What fits on a usual terminal.
const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_verbs_is_aligned_with_colours_too() {
        let plain = verbs(str::to_owned);
        insta::assert_snapshot!(plain);
        assert!(plain.lines().all(|line| line.len() <= WIDTH));
        let painted = verbs(|verb| format!("\u{1b}[36m{verb}\u{1b}[39m"));
        assert_eq!(painted.replace("\u{1b}[36m", "").replace("\u{1b}[39m", ""), plain);
    }
}
