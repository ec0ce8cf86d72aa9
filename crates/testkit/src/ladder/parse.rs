//! Text to [`Ladder`]. Errors name the line of the file.

use std::time::Duration;

use super::script::{
    Arrow, Certainty, Expect, Ladder, Line, Number, Setting, Start, Step, Tagging, What, Who, Word,
};
use crate::sketch::Tweak;

/// Reads a ladder script.
pub fn parse(text: &str) -> Result<Ladder, String> {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        reader.line(at + 1, line).map_err(|why| format!("line {}: {why}", at + 1))?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    ladder: Ladder,
    lines: usize,
    body: Option<String>,
}

impl Reader {
    fn line(&mut self, at: usize, text: &str) -> Result<(), String> {
        if let Some(name) = &self.body
            && text.starts_with([' ', '\t'])
        {
            let body = self.ladder.bodies.entry(name.clone()).or_default();
            body.push_str(text.trim());
            body.push_str("\r\n");
            return Ok(());
        }
        let words = split(text)?;
        let Some((first, rest)) = words.split_first() else { return Ok(()) };
        self.body = None;
        match first.as_str() {
            "start" => self.start(rest),
            "config" => self.config(rest),
            "sdp" | "body" => {
                let [name] = rest else { return Err(format!("expected one name behind {first}")) };
                self.ladder.bodies.insert(name.clone(), String::new());
                self.body = Some(name.clone());
                Ok(())
            }
            "wait" => {
                let [span] = rest else { return Err("expected a time behind wait".to_owned()) };
                self.ladder.steps.push(Step::Wait(time(span)?));
                Ok(())
            }
            "expect" => self.expect(rest),
            "allow" => {
                self.ladder.allowed.extend(rest.iter().cloned());
                Ok(())
            }
            "skip" | "silent" => self.except(first, rest),
            _ => self.message(at, &words),
        }
    }

    fn start(&mut self, rest: &[String]) -> Result<(), String> {
        self.ladder.start = match rest {
            [what] if what == "call" => Start::Call,
            [what] if what == "early" => Start::Early,
            [what] if what == "reliable" => Start::Reliable,
            _ => return Err("expected start call, start early or start reliable".to_owned()),
        };
        if self.lines > 0 { Err("start stands before all messages".to_owned()) } else { Ok(()) }
    }

    fn config(&mut self, rest: &[String]) -> Result<(), String> {
        let Some((who, settings)) = rest.split_first() else {
            return Err("expected a party behind config".to_owned());
        };
        let who = party(who)?;
        for word in settings {
            let setting = if word.starts_with('[') {
                Setting::Always(header(word)?)
            } else {
                let (key, value) =
                    word.split_once('=').ok_or_else(|| format!("expected key=value, found {word}"))?;
                if !KEYS.contains(&key) {
                    return Err(format!("unknown setting {key}; known are {}", KEYS.join(", ")));
                }
                Setting::Key(key.to_owned(), value.to_owned())
            };
            self.ladder.settings.push((who, setting));
        }
        Ok(())
    }

    fn expect(&mut self, rest: &[String]) -> Result<(), String> {
        let [who, verb, code, at_word, at, more @ ..] = rest else {
            match rest {
                [word] if word == "nothing" => self.ladder.clean = true,
                [word] if word == "end" => self.ladder.ends = true,
                _ => return Err("expected: A breaks CODE at N because M ..., nothing, or end".to_owned()),
            }
            return Ok(());
        };
        if verb != "breaks" || at_word != "at" {
            return Err(format!("expected: {who} breaks {code} at N"));
        }
        let mut expect = Expect {
            who: if who == "network" { Who::NETWORK } else { party(who)? },
            code: code.clone(),
            at: self.number(at)?,
            because: Vec::new(),
            certainty: Certainty::Certain,
            instead: None,
        };
        let mut more = more.iter();
        while let Some(word) = more.next() {
            match word.as_str() {
                "because" => {}
                "certain" => expect.certainty = Certainty::Certain,
                "crossed" => expect.certainty = Certainty::Crossed,
                "capture-gap" => expect.certainty = Certainty::CaptureGap,
                "instead" => {
                    let status = more.next().and_then(|word| word.parse().ok());
                    expect.instead = Some(status.ok_or("expected a status behind instead")?);
                }
                number => expect.because.push(self.number(number)?),
            }
        }
        self.ladder.expects.push(expect);
        Ok(())
    }

    fn except(&mut self, what: &str, rest: &[String]) -> Result<(), String> {
        let expected = || format!("expected: {what} A: why");
        let [who, why @ ..] = rest else { return Err(expected()) };
        let why = why.join(" ");
        let who = who.strip_suffix(':').filter(|_| !why.is_empty()).ok_or_else(expected)?;
        match (what, who) {
            ("skip", "observer") => self.ladder.unobserved = Some(why),
            ("skip", who) => self.ladder.skipped.push((party(who)?, why)),
            (_, who) => self.ladder.silent.push((party(who)?, why)),
        }
        Ok(())
    }

    fn message(&mut self, at: usize, words: &[String]) -> Result<(), String> {
        let [from, arrow, to, what, rest @ ..] = words else {
            return Err("expected FROM ARROW TO WHAT, or a statement".to_owned());
        };
        let (from, to, number) = (party(from)?, party(to)?, self.lines + 1);
        let mut rest = rest.to_vec();
        let named = |rest: &mut Vec<String>, key: &str| {
            let at = rest
                .iter()
                .position(|word| word.strip_prefix(key).is_some_and(|more| more.starts_with('=')))?;
            rest.remove(at).split_once('=').map(|(_, value)| value.to_owned())
        };
        let above = |named: Option<String>| match named {
            Some(text) => self.number(&text),
            None if self.lines == 0 => Err("no line above".to_owned()),
            None => Ok(self.lines),
        };
        let arrow = match arrow.as_str() {
            "->" => Arrow::Follows,
            "~>" => Arrow::Lost,
            "><" => Arrow::Crosses(above(named(&mut rest, "crosses"))?),
            ">>" => Arrow::Overtakes(above(named(&mut rest, "overtakes"))?),
            other => return Err(format!("expected ->, ><, >> or ~>, found {other}")),
        };
        let what = if what == "again" {
            let number = if rest.is_empty() { String::new() } else { rest.remove(0) };
            What::Again(self.number(&number)?)
        } else if let Ok(status) = what.parse::<u16>() {
            let method = rest.first().filter(|word| is_method(word)).cloned();
            if method.is_some() {
                rest.remove(0);
            }
            What::Response(status, method)
        } else if is_method(what) {
            What::Request(what.clone())
        } else {
            return Err(format!("expected a method, a status or again, found {what}"));
        };
        let words = rest.iter().map(|text| self.word(text)).collect::<Result<_, _>>()?;
        self.lines = number;
        self.ladder.steps.push(Step::Send(Box::new(Line { number, at, from, to, arrow, what, words })));
        Ok(())
    }

    fn word(&self, text: &str) -> Result<Word, String> {
        if text.starts_with('[') {
            return header(text);
        }
        if let Some(tweak) = text.strip_prefix("sdp:") {
            return Tweak::parse(tweak).map(Word::Sdp);
        }
        if let Some(at) = text.strip_prefix('@') {
            return time(at).map(Word::At);
        }
        if let Some(after) = text.strip_prefix('+') {
            return time(after).map(Word::After);
        }
        let Some((key, value)) = text.split_once('=') else {
            return match text {
                "offer" => Ok(Word::Offer(None)),
                "answer" => Ok(Word::Answer(None)),
                "same" => Ok(Word::Same),
                "reliable" => Ok(Word::Reliable),
                "outside" => Ok(Word::Outside),
                "unseen" => Ok(Word::Unseen),
                _ => Err(format!("unknown word {text}")),
            };
        };
        let value = value.to_owned();
        let tagging = |value: String| if value == "none" { Tagging::None } else { Tagging::Is(value) };
        Ok(match key {
            "offer" => Word::Offer(Some(self.body(value)?)),
            "answer" => Word::Answer(Some(self.body(value)?)),
            "body" => Word::Body(self.body(value)?),
            "o" => Word::Sdp(Tweak::parse_version(&value)?),
            "rseq" => Word::RSeq(amount(&value)?),
            "cseq" => Word::CSeq(amount(&value)?),
            "cseq-method" => Word::CSeqMethod(value),
            "to-tag" => Word::ToTag(tagging(value)),
            "from-tag" => Word::FromTag(tagging(value)),
            "branch" => Word::Branch(value),
            "call-id" => Word::CallId(value),
            "uri" => Word::Uri(value),
            "reason" => Word::Reason(value),
            "via" => Word::Via(value),
            "sipfrag" => Word::Sipfrag(value.parse().map_err(|_| "expected a status in sipfrag=")?),
            "of" => Word::Of(self.number(&value)?),
            "tag" => Word::Tag(value),
            "call" => Word::Call(value),
            "by" => match value.parse() {
                Ok(address) => Word::Source(address),
                Err(_) => Word::By(party(&value)?),
            },
            _ => return Err(format!("unknown word {key}=")),
        })
    }

    fn body(&self, name: String) -> Result<String, String> {
        if self.ladder.bodies.contains_key(&name) {
            Ok(name)
        } else {
            Err(format!("no sdp or body {name} above"))
        }
    }

    fn number(&self, text: &str) -> Result<usize, String> {
        let number = text.parse().ok().filter(|number| (1..=self.lines).contains(number));
        number.ok_or_else(|| format!("expected the number of a line above, found {text:?}"))
    }

    fn finish(self) -> Result<Ladder, String> {
        let ladder = self.ladder;
        match (ladder.clean, ladder.expects.is_empty()) {
            (true, false) => Err("expect nothing contradicts expect ... breaks".to_owned()),
            (false, true) => Err("expected an expect statement".to_owned()),
            _ => Ok(ladder),
        }
    }
}

fn party(text: &str) -> Result<Who, String> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_uppercase() => Ok(Who(letter)),
        _ => Err(format!("expected a party (one capital letter), found {text}")),
    }
}

fn is_method(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|b| b.is_ascii_uppercase())
}

fn header(word: &str) -> Result<Word, String> {
    let inner = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.ok_or_else(|| format!("expected ] at the end of {word}"))?;
    if let Some(name) = inner.strip_prefix('-') {
        return Ok(Word::Remove(name.trim().to_owned()));
    }
    let (name, value) =
        inner.split_once(':').ok_or_else(|| format!("expected [Name: value], found {word}"))?;
    let value = value.trim().to_owned();
    Ok(match name.strip_prefix('+') {
        Some(name) => Word::Add(name.trim().to_owned(), value),
        None => Word::Set(name.trim().to_owned(), value),
    })
}

fn amount(text: &str) -> Result<Number, String> {
    let wrong = |_| format!("expected n, +n or -n, found {text}");
    if text.starts_with(['+', '-']) {
        text.parse().map(Number::More).map_err(wrong)
    } else {
        text.parse().map(Number::Is).map_err(wrong)
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time such as 12.3s or 40ms, found {text}");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// Words of a line without its comment.
fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut depth, mut quoted, mut begun) =
        (Vec::new(), String::new(), 0_u32, false, false);
    for letter in text.chars() {
        match letter {
            '#' if depth == 0 && !quoted && !begun => break,
            letter if letter.is_whitespace() && depth == 0 && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            '"' if depth == 0 => {
                quoted = !quoted;
                begun = true;
                continue;
            }
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        begun = true;
        word.push(letter);
    }
    if depth > 0 || quoted {
        return Err("a [ or \" is not closed".to_owned());
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

const KEYS: [&str; 11] = [
    "update",
    "100rel",
    "timer",
    "replaces",
    "from-change",
    "prefer",
    "transport",
    "refer",
    "new-streams",
    "min-se",
    "strict-5057",
];
