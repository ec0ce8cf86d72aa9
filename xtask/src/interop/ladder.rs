//! The ladder of a scenario: what each side sends, in order. One text is both the peer's program and the expectation.
//!
//! `interop/README.md` explains every word.

use std::time::Duration;

/// Which seat midcall takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Caller,
    Callee,
}

/// One step of a ladder.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Line(Box<Line>),
    /// Lines of midcall that may come in any order.
    AnyOrder(Vec<Line>),
    /// A message that may be missing, and what answers it.
    Maybe(Vec<Line>),
    /// The peer waits.
    Pause(Duration),
    /// The peer waits and midcall sends nothing.
    Quiet(Duration),
    /// midcall's process is stopped, or goes on: what comes meanwhile waits at its door.
    Freeze(bool),
    /// The peer sends to this address of the other side from now on.
    Towards(String),
    /// What RTP must be seen from here to the next message.
    Rtp(Flow),
}

/// Which way media flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    Both,
    None,
    /// Nothing from midcall; the peer as it likes.
    NotFromMidcall,
    /// Nothing from the peer; midcall as it likes.
    NotFromPeer,
}

/// One message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// Position among all lines of the ladder.
    pub(crate) id: usize,
    pub(crate) text: String,
    pub(crate) from_midcall: bool,
    /// The method, of a response too.
    pub(crate) method: String,
    /// Empty for a request; several where any will do.
    pub(crate) statuses: Vec<u16>,
    /// For a response the request it answers, for an ACK or a CANCEL its INVITE.
    pub(crate) about: Option<usize>,
    pub(crate) maybe: bool,
    pub(crate) copies: Option<(usize, usize)>,
    pub(crate) sdp: Option<SdpWords>,
    pub(crate) no_sdp: bool,
    pub(crate) reliable: bool,
    pub(crate) tag: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) cseq: Option<i64>,
    pub(crate) rseq: Option<u32>,
    pub(crate) branch: Option<String>,
    pub(crate) again: bool,
    pub(crate) fragment: Option<u16>,
    pub(crate) label: Option<String>,
    pub(crate) since: Option<(String, f64, f64)>,
    pub(crate) headers: Vec<HeaderWord>,
}

impl Line {
    pub(crate) fn is_request(&self) -> bool {
        self.statuses.is_empty()
    }

    /// Whether this is a final response of the given class or beyond.
    pub(crate) fn is_final(&self) -> bool {
        self.statuses.iter().any(|s| *s >= 200)
    }
}

/// What a line says about its session description.
#[derive(Clone, Debug, Default)]
pub(crate) struct SdpWords {
    pub(crate) direction: Option<String>,
    /// Distance of the o= version from the one this side sent before.
    pub(crate) version: Option<i64>,
    /// Streams by kind, and whether the port is not zero.
    pub(crate) media: Option<Vec<(String, bool)>>,
    pub(crate) codecs: Option<Vec<String>>,
    pub(crate) connection: Option<String>,
    pub(crate) port: Option<i64>,
    pub(crate) new_id: bool,
    pub(crate) body: Option<String>,
}

/// A header a line adds, wants, replaces or forbids.
#[derive(Clone, Debug)]
pub(crate) struct HeaderWord {
    pub(crate) name: String,
    pub(crate) absent: bool,
    /// Literal text from the peer, a regular expression from midcall.
    pub(crate) value: Option<String>,
}

/// Whether a ladder starts with a macro that fits both seats.
pub(crate) fn fits_both(text: &str) -> bool {
    first(text).starts_with("start call")
}

/// The seat midcall has in a ladder that does not fit both.
pub(crate) fn role(text: &str) -> Role {
    if first(text).starts_with('<') { Role::Callee } else { Role::Caller }
}

fn first(text: &str) -> &str {
    text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or_default()
}

/// The first row of a ladder once its macros are written out.
pub(crate) fn head(text: &str, role: Role) -> String {
    first(&expand(text, role).join("\n")).to_string()
}

/// Reads a ladder.
pub(crate) fn parse(text: &str, role: Role) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut group: Option<Vec<Line>> = None;
    let mut optional = false;
    let mut seen: Vec<Line> = Vec::new();
    for (at, row) in expand(text, role).iter().enumerate() {
        let row = row.split(" # ").next().unwrap_or_default().trim();
        let fail = |why: &str| format!("ladder row {}: {why}: {row}", at + 1);
        let (word, rest) = row.split_once(' ').unwrap_or((row, ""));
        match word {
            "" => {}
            w if w.starts_with('#') => {}
            "{" => group = Some(Vec::new()),
            "}" => steps.push(Step::AnyOrder(group.take().ok_or_else(|| fail("no { before"))?)),
            "[" => {
                optional = true;
                group = Some(Vec::new());
            }
            "]" => {
                optional = false;
                steps.push(Step::Maybe(group.take().ok_or_else(|| fail("no [ before"))?));
            }
            "pause" => steps.push(Step::Pause(duration(rest).ok_or_else(|| fail("not a time"))?)),
            "quiet" => steps.push(Step::Quiet(duration(rest).ok_or_else(|| fail("not a time"))?)),
            "freeze" => steps.push(Step::Freeze(true)),
            "thaw" => steps.push(Step::Freeze(false)),
            "towards" => steps.push(Step::Towards(rest.to_string())),
            "rtp" => steps.push(Step::Rtp(flow(rest).ok_or_else(|| fail("both, none, !> or !<"))?)),
            ">" | "<" => {
                let mut line = read_line(rest, word == ">").map_err(|why| fail(&why))?;
                line.id = seen.len();
                line.text = row.to_string();
                resolve(&mut line, &seen).map_err(|why| fail(&why))?;
                seen.push(line.clone());
                match &mut group {
                    Some(lines) if optional || line.from_midcall => lines.push(line),
                    Some(_) => return Err(fail("a { } holds > lines only")),
                    None => steps.push(Step::Line(Box::new(line))),
                }
            }
            _ => return Err(fail("unknown row")),
        }
    }
    if group.is_some() {
        return Err("a { or [ is not closed".into());
    }
    Ok(steps)
}

/// All lines of a ladder in order, groups flattened.
pub(crate) fn lines(steps: &[Step]) -> Vec<&Line> {
    let mut all: Vec<&Line> = Vec::new();
    for step in steps {
        match step {
            Step::Line(line) => all.push(line.as_ref()),
            Step::AnyOrder(lines) | Step::Maybe(lines) => all.extend(lines),
            _ => {}
        }
    }
    all
}

fn expand(text: &str, role: Role) -> Vec<String> {
    let mut rows = Vec::new();
    for row in text.lines() {
        let Some(extra) = row.trim().strip_prefix("start call") else {
            rows.push(row.to_string());
            continue;
        };
        let set_up = match role {
            Role::Caller => {
                ["> INVITE sdp".into(), "< 180".into(), format!("< 200 sdp {extra}"), "> ACK".into()]
            }
            Role::Callee => {
                [format!("< INVITE sdp {extra}"), "> 180 maybe".into(), "> 200 sdp".into(), "< ACK".into()]
            }
        };
        rows.extend(set_up);
    }
    rows
}

/// A response belongs to the newest request still without a final one; ACK and CANCEL to the newest INVITE.
fn resolve(line: &mut Line, seen: &[Line]) -> Result<(), String> {
    let other = seen.iter().rev().filter(|l| l.is_request() && l.from_midcall != line.from_midcall);
    if !line.is_request() {
        let open = |r: &Line| {
            r.method != "ACK"
                && !seen.iter().any(|l| l.about == Some(r.id) && !l.is_request() && l.is_final())
        };
        let named = !line.method.is_empty();
        let right = |r: &&Line| !named || r.method == line.method;
        let found = other.clone().filter(right).find(|r| open(r)).or_else(|| other.clone().find(right));
        let request = found.ok_or("answers nothing")?;
        line.method.clone_from(&request.method);
        line.about = Some(request.id);
    } else if line.method == "ACK" || line.method == "CANCEL" {
        let mut own = seen.iter().rev().filter(|l| l.is_request() && l.from_midcall == line.from_midcall);
        let acked = |id| seen.iter().any(|l| l.method == "ACK" && l.is_request() && l.about == Some(id));
        let answered = |id| seen.iter().any(|l| l.about == Some(id) && !l.is_request() && l.is_final());
        let ready =
            |l: &&Line| l.method == "INVITE" && (line.method == "CANCEL" || answered(l.id) && !acked(l.id));
        let newest = own.clone().find(ready).or_else(|| own.find(|l| l.method == "INVITE"));
        line.about = Some(newest.ok_or("no INVITE before")?.id);
    }
    Ok(())
}

fn read_line(text: &str, from_midcall: bool) -> Result<Line, String> {
    let mut parts = text.split(" | ").map(str::trim);
    let mut words = parts.next().unwrap_or_default().split_ascii_whitespace().peekable();
    let mut line = Line { from_midcall, ..Line::default() };
    let what = words.next().ok_or("empty")?;
    if what.starts_with(|c: char| c.is_ascii_digit()) {
        for status in what.split('/') {
            line.statuses.push(status.parse().map_err(|_| "not a status")?);
        }
        if let Some(method) = words.next_if(|w| is_method(w)) {
            line.method = method.to_string();
        }
    } else if is_method(what) {
        line.method = what.to_string();
    } else {
        return Err("neither a method nor a status".into());
    }
    for word in words {
        read_word(&mut line, word)?;
    }
    for part in parts.filter(|p| !p.is_empty()) {
        let (name, value) = match part.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim().to_string())),
            None => (part, None),
        };
        let absent = name.starts_with('!');
        line.headers.push(HeaderWord { name: name.trim_start_matches('!').to_string(), absent, value });
    }
    Ok(line)
}

fn read_word(line: &mut Line, word: &str) -> Result<(), String> {
    let bad = || format!("unknown word {word}");
    match word {
        "maybe" => line.maybe = true,
        "again" => line.again = true,
        "rel" => line.reliable = true,
        "nosdp" => line.no_sdp = true,
        "sdp" => {
            line.sdp.get_or_insert_default();
        }
        "id:new" => line.sdp.get_or_insert_default().new_id = true,
        "o=same" => line.sdp.get_or_insert_default().version = Some(0),
        _ if word.starts_with('@') => line.label = Some(word[1..].to_string()),
        _ if word.starts_with("o=") => {
            line.sdp.get_or_insert_default().version = Some(word[2..].parse().map_err(|_| bad())?);
        }
        _ if word.starts_with('x') && word[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let (low, high) = word[1..].split_once("..").unwrap_or((&word[1..], &word[1..]));
            line.copies = Some((low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?));
        }
        _ => {
            if let Some((key, value)) = word.split_once(':') {
                read_pair(line, key, value).ok_or_else(bad)?;
            } else if let Some((label, range)) = word.split_once('+') {
                let (low, high) = range.split_once("..").ok_or_else(bad)?;
                let range = (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
                line.since = Some((label.to_string(), range.0, range.1));
            } else {
                return Err(bad());
            }
        }
    }
    Ok(())
}

fn read_pair(line: &mut Line, key: &str, value: &str) -> Option<()> {
    match key {
        "sdp" => line.sdp.get_or_insert_default().direction = Some(value.into()),
        "m" => {
            let streams = value.split(',').filter(|w| !w.is_empty());
            let streams = streams.map(|w| (w.trim_start_matches('-').to_string(), !w.starts_with('-')));
            line.sdp.get_or_insert_default().media = Some(streams.collect());
        }
        "codecs" => {
            line.sdp.get_or_insert_default().codecs = Some(value.split(',').map(Into::into).collect());
        }
        "c" => line.sdp.get_or_insert_default().connection = Some(value.into()),
        "port" => line.sdp.get_or_insert_default().port = Some(value.parse().ok()?),
        "body" => line.sdp.get_or_insert_default().body = Some(value.into()),
        "tag" => line.tag = Some(value.into()),
        "contact" | "uri" => line.user = Some(value.into()),
        "cseq" => line.cseq = Some(value.parse().ok()?),
        "rseq" => line.rseq = Some(value.parse().ok()?),
        "branch" => line.branch = Some(value.into()),
        "frag" => line.fragment = Some(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}

fn is_method(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase())
}

fn flow(word: &str) -> Option<Flow> {
    Some(match word.trim() {
        "both" => Flow::Both,
        "none" => Flow::None,
        "!>" => Flow::NotFromMidcall,
        "!<" => Flow::NotFromPeer,
        _ => return None,
    })
}

/// Reads `300ms` or `1.5s`.
pub(crate) fn duration(word: &str) -> Option<Duration> {
    let word = word.trim();
    if let Some(ms) = word.strip_suffix("ms") {
        return ms.parse().ok().map(Duration::from_millis);
    }
    word.strip_suffix('s')?.parse().ok().map(Duration::from_secs_f64)
}
