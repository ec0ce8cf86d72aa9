//! Turns a ladder into a SIPp scenario.
//!
//! Everything a message needs is written out: branches are literals, headers to echo are saved when they arrive, so
//! nothing depends on what SIPp happened to receive last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::ladder::{HeaderWord, Line, SdpWords, Step, lines};
use super::text::{description, reason};

/// Where everybody is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// SIP port of this SIPp.
    pub(crate) own: u16,
    /// SIP port of the other side itself, and the URI that reaches it.
    pub(crate) other: u16,
    pub(crate) other_uri: String,
    /// First media port of this SIPp.
    pub(crate) media: u16,
    /// Record-routing proxies in between.
    pub(crate) hops: usize,
    /// SIPp plays midcall's seat, to try a ladder out.
    pub(crate) mirror: bool,
}

/// The scenario file for one side of a ladder.
pub(crate) fn compile(
    name: &str,
    steps: &[Step],
    place: &Place,
    bodies: &BTreeMap<String, String>,
) -> String {
    let all = lines(steps);
    let caller = all.first().is_some_and(|line| line.from_midcall == place.mirror);
    let mut compiler = Compiler {
        all,
        place,
        bodies,
        caller,
        out: String::new(),
        later: String::new(),
        texts: BTreeMap::new(),
        variables: BTreeSet::new(),
        target: None,
        routes: None,
        next_cseq: if caller { 1 } else { 101 },
        cseqs: BTreeMap::new(),
        descriptions: BTreeMap::new(),
        last_rseq: 4000,
        labels: 0,
    };
    let mut rest = steps;
    while let Some((step, behind)) = rest.split_first() {
        rest = match (step, behind) {
            (Step::Maybe(group), [Step::Line(last), Step::Line(answer), behind @ ..])
                if group
                    .first()
                    .is_some_and(|first| first.method == last.method && !compiler.mine(first)) =>
            {
                compiler.reports(last, answer);
                behind
            }
            (Step::Maybe(group), behind) if group.first().is_some_and(|first| !compiler.mine(first)) => {
                let waits =
                    behind.first().is_some_and(|next| matches!(next, Step::Line(l) if !compiler.mine(l)));
                compiler.maybe(group, waits);
                behind
            }
            _ => {
                compiler.step(step);
                behind
            }
        };
    }
    compiler.finish(name)
}

struct Compiler<'a> {
    all: Vec<&'a Line>,
    place: &'a Place,
    bodies: &'a BTreeMap<String, String>,
    caller: bool,
    out: String,
    /// Out-of-line parts, reached by a jump.
    later: String,
    texts: BTreeMap<usize, String>,
    variables: BTreeSet<String>,
    /// Line whose Contact is the other side's current target.
    target: Option<usize>,
    routes: Option<usize>,
    next_cseq: i64,
    cseqs: BTreeMap<usize, i64>,
    /// o= session and version, for each tag this side uses.
    descriptions: BTreeMap<String, (u32, i64)>,
    last_rseq: u32,
    labels: u32,
}

impl<'a> Compiler<'a> {
    fn step(&mut self, step: &'a Step) {
        match step {
            Step::Line(line) if self.mine(line) => self.send(line),
            Step::Line(line) => self.receive(line),
            Step::AnyOrder(group) if group.iter().all(|line| self.mine(line)) => {
                for line in group {
                    self.send(line);
                }
            }
            Step::AnyOrder(group) => {
                let end = self.label();
                self.any_order(&group.iter().collect::<Vec<_>>(), end);
                let _ = writeln!(self.out, "  <label id=\"{end}\"/>");
            }
            Step::Pause(time) | Step::Quiet(time) if !self.place.mirror => {
                let _ = writeln!(self.out, "  <pause milliseconds=\"{}\"/>", time.as_millis());
            }
            Step::Freeze(stop) if !self.place.mirror => {
                let signal = if *stop { "STOP" } else { "CONT" };
                let _ = writeln!(
                    self.out,
                    "  <nop><action><exec command=\"kill -{signal} $(cat midcall.pid)\"/></action></nop>"
                );
                // the command runs beside SIPp
                if *stop {
                    self.out.push_str("  <pause milliseconds=\"150\"/>\n");
                }
            }
            Step::Towards(address) if !self.place.mirror => {
                let (host, port) = address.split_once(':').unwrap_or((address, "5060"));
                let _ = writeln!(
                    self.out,
                    "  <nop><action><setdest host=\"{host}\" port=\"{port}\" protocol=\"udp\"/></action></nop>"
                );
            }
            // an optional message of one's own is not sent
            Step::Maybe(_)
            | Step::Pause(_)
            | Step::Quiet(_)
            | Step::Rtp(_)
            | Step::Freeze(_)
            | Step::Towards(_) => {}
        }
    }

    fn mine(&self, line: &Line) -> bool {
        line.from_midcall == self.place.mirror
    }

    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    // ---- receiving

    fn receive(&mut self, line: &Line) {
        self.trying(line);
        if line.statuses.len() > 1 {
            let end = self.label();
            for status in &line.statuses[1..] {
                self.recv(line, Some(*status), &format!(" optional=\"true\" next=\"{end}\""));
            }
            self.recv(line, line.statuses.first().copied(), "");
            let _ = writeln!(self.out, "  <label id=\"{end}\"/>");
        } else {
            let optional = if line.maybe { " optional=\"true\"" } else { "" };
            self.recv(line, line.statuses.first().copied(), optional);
        }
    }

    /// A 100 may come at any time while an INVITE of ours is unanswered.
    fn trying(&mut self, line: &Line) {
        let sent = self.all.iter().filter(|l| l.id < line.id && self.mine(l) && l.method == "INVITE");
        let mut open = sent.filter(|l| l.is_request()).filter(|invite| {
            !self.all.iter().any(|l| l.id < line.id && l.about == Some(invite.id) && l.is_final())
        });
        if let Some(invite) = open.next().filter(|_| !line.statuses.contains(&100)) {
            let transaction = self.transaction(invite, "response_txn");
            let _ = writeln!(self.out, "  <recv response=\"100\"{transaction} optional=\"true\"/>");
        }
    }

    fn any_order(&mut self, group: &[&Line], end: u32) {
        let Some((last, others)) = group.split_last() else { return };
        if others.is_empty() {
            self.receive(last);
            let _ = writeln!(self.out, "  <nop next=\"{end}\"/>");
            return;
        }
        self.trying(last);
        let labels: Vec<u32> = others.iter().map(|_| self.label()).collect();
        for (line, label) in others.iter().zip(&labels) {
            let attributes = format!(" optional=\"true\" next=\"{label}\"");
            self.recv(line, line.statuses.first().copied(), &attributes);
        }
        self.recv(last, last.statuses.first().copied(), "");
        self.any_order(others, end);
        for (index, label) in labels.iter().enumerate() {
            let _ = writeln!(self.out, "  <label id=\"{label}\"/>");
            let rest: Vec<&Line> =
                group.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, line)| *line).collect();
            self.any_order(&rest, end);
        }
    }

    fn maybe(&mut self, group: &'a [Line], waits: bool) {
        let Some((first, answers)) = group.split_first() else { return };
        let (aside, back) = (self.label(), self.label());
        self.trying(first);
        // SIPp wants something mandatory right behind an optional message; elsewhere only time can tell
        let how = if waits {
            format!(" optional=\"true\" next=\"{aside}\"")
        } else {
            format!(" timeout=\"1500\" ontimeout=\"{back}\" next=\"{aside}\"")
        };
        self.recv(first, first.statuses.first().copied(), &how);
        let _ = writeln!(self.out, "  <label id=\"{back}\"/>");
        let main = std::mem::take(&mut self.out);
        let _ = writeln!(self.out, "  <label id=\"{aside}\"/>");
        for line in answers {
            self.send(line);
        }
        let _ = writeln!(self.out, "  <nop next=\"{back}\"/>");
        self.later.push_str(&std::mem::replace(&mut self.out, main));
    }

    /// NOTIFYs until one brings a final status: SIPp tells them apart by their bodies only.
    fn reports(&mut self, last: &'a Line, answer: &'a Line) {
        let label = self.label();
        let _ = writeln!(self.out, "  <label id=\"{label}\"/>");
        let saves = self.saves(last, None);
        let id = last.id;
        let _ = writeln!(
            self.out,
            "  <recv request=\"{}\">\n    <action>\n{saves}      <ereg regexp=\"SIP/2.0 ([0-9])\" search_in=\"body\" \
             assign_to=\"all{id},class{id}\"/>\n      <todouble assign_to=\"number{id}\" variable=\"class{id}\"/>\n      \
             <test assign_to=\"more{id}\" variable=\"number{id}\" compare=\"less_than\" value=\"2\"/>\n    \
             </action>\n  </recv>",
            last.method
        );
        self.variables.extend(["all", "class", "number", "more"].map(|name| format!("{name}{id}")));
        let start = self.out.len();
        self.send(answer);
        // The jump stands in the answer itself: a step of its own would take a moment in which no NOTIFY is expected.
        let jump = format!("<send next=\"{label}\" test=\"more{id}\"");
        let answered = self.out.split_off(start).replacen("<send", &jump, 1);
        self.out.push_str(&answered);
    }

    fn recv(&mut self, line: &Line, status: Option<u16>, attributes: &str) {
        let what = match status {
            Some(status) => format!("response=\"{status}\"{}", self.transaction(line, "response_txn")),
            None => format!("request=\"{}\"", line.method),
        };
        let saves = if line.maybe { String::new() } else { self.saves(line, status) };
        if saves.is_empty() {
            let _ = writeln!(self.out, "  <recv {what}{attributes}/>");
        } else {
            let _ = writeln!(
                self.out,
                "  <recv {what}{attributes}>\n    <action>\n{saves}    </action>\n  </recv>"
            );
        }
    }

    fn saves(&mut self, line: &Line, status: Option<u16>) -> String {
        let id = line.id;
        let mut wanted: Vec<(String, &str, String, usize)> = Vec::new();
        let mut want = |variable: &str, header, pattern: &str, nth| {
            wanted.push((format!("{variable}{id}"), header, pattern.to_string(), nth));
        };
        match status {
            None if line.method != "ACK" => {
                for nth in 0..=self.place.hops {
                    want(&format!("via{nth}x"), "Via:", ".*", nth + 1);
                }
                want("from", "From:", ".*", 1);
                want("to", "To:", ".*", 1);
                want("cseq", "CSeq:", ".*", 1);
            }
            Some(_) if line.reliable => want("rseq", "RSeq:", "[0-9]+", 1),
            _ => {}
        }
        let refreshes = match status {
            None => line.method == "INVITE" || line.method == "UPDATE",
            Some(status) => {
                line.method == "INVITE" && ((200..300).contains(&status) || line.reliable)
                    || line.method == "UPDATE" && status == 200
            }
        };
        if refreshes {
            want("target", "Contact:", "sips?:[^>]*", 1);
            self.target = Some(id);
            if self.routes.is_none() && self.place.hops > 0 {
                for nth in 0..self.place.hops {
                    want(&format!("route{nth}x"), "Record-Route:", ".*", nth + 1);
                }
                self.routes = Some(id);
            }
        }
        let mut text = String::new();
        for (variable, header, pattern, nth) in wanted {
            let nth = if nth > 1 { format!(" occurence=\"{nth}\"") } else { String::new() };
            let _ = writeln!(
                text,
                "      <ereg regexp=\"{pattern}\" search_in=\"hdr\" header=\"{header}\" start_line=\"true\"{nth} assign_to=\"{variable}\"/>"
            );
            self.variables.insert(variable);
        }
        text
    }

    // ---- sending

    fn send(&mut self, line: &Line) {
        let earlier = self.all.iter().rev().find(|l| {
            l.id < line.id
                && self.mine(l)
                && l.method == line.method
                && l.statuses == line.statuses
                && l.rseq == line.rseq
        });
        let text = match earlier.filter(|_| line.again) {
            Some(earlier) => self.texts.get(&earlier.id).cloned().unwrap_or_default(),
            None if line.is_request() => self.request(line),
            None => self.response(line),
        };
        let name = if line.method == "ACK" && line.is_request() { "ack_txn" } else { "start_txn" };
        let transaction =
            if line.is_request() && !line.again { self.transaction(line, name) } else { String::new() };
        let _ = writeln!(self.out, "  <send{transaction}>\n    <![CDATA[\n{text}\n    ]]>\n  </send>");
        self.texts.insert(line.id, text);
    }

    /// SIPp tells responses apart by transaction only where the scenario names all of its messages.
    fn transaction(&self, line: &Line, attribute: &str) -> String {
        let first = if line.is_request() && line.method != "ACK" { Some(line.id) } else { line.about };
        let Some(id) = first else { return String::new() };
        let mut about = self.all.iter().filter(|l| l.about == Some(id));
        let answered = about.clone().any(|l| !l.is_request());
        let acked = about.any(|l| l.is_request() && l.method == "ACK");
        let invite = self.all.iter().any(|l| l.id == id && l.method == "INVITE");
        let repeated = self.all.iter().any(|l| l.id == id && l.again);
        if answered && acked == invite && !repeated {
            format!(" {attribute}=\"t{id}\"")
        } else {
            String::new()
        }
    }

    fn request(&mut self, line: &Line) -> String {
        let own = format!("127.0.0.1:{}", self.place.own);
        let number = match line.about.and_then(|id| self.cseqs.get(&id)) {
            Some(number) => *number,
            None => {
                let number = self.next_cseq + line.cseq.unwrap_or(0);
                self.next_cseq = self.next_cseq.max(number + 1);
                number
            }
        };
        self.cseqs.insert(line.id, number);
        let dialog = self.all.iter().any(|l| {
            l.id < line.id
                && !self.mine(l)
                && l.method == "INVITE"
                && l.statuses.iter().any(|s| (101..300).contains(s))
        });
        // CANCEL has the To of its INVITE, the ACK of a refusal that of the refusal
        let tagged = match line.method.as_str() {
            "CANCEL" => self.all.first().is_none_or(|l| line.about != Some(l.id)),
            "ACK" => true,
            _ => dialog,
        };
        let uri = match self.target {
            Some(id) if line.method != "CANCEL" => format!("[$target{id}]"),
            _ => self.place.other_uri.clone(),
        };
        let tag = line.tag.as_deref().unwrap_or("peer");
        let (from, to) = match self.all.first() {
            Some(invite) if !self.caller => {
                (format!("[$to{}];tag={tag}", invite.id), format!("[$from{}]", invite.id))
            }
            _ => {
                let remote = if tagged { "[peer_tag_param]" } else { "" };
                (format!("<sip:peer@{own}>;tag={tag}"), format!("<{}>{remote}", self.place.other_uri))
            }
        };
        let mut headers = vec![("Via", format!("SIP/2.0/UDP {own};branch={}", self.branch(line)))];
        if let Some(id) = self.routes {
            let mut order: Vec<usize> = (0..self.place.hops).collect();
            if self.caller {
                order.reverse();
            }
            headers.extend(order.into_iter().map(|nth| ("Route", format!("[$route{nth}x{id}]"))));
        }
        headers.extend([
            ("From", from),
            ("To", to),
            ("Call-ID", "[call_id]".into()),
            ("CSeq", format!("{number} {}", line.method)),
            ("Max-Forwards", "70".into()),
        ]);
        if !matches!(line.method.as_str(), "ACK" | "CANCEL" | "BYE" | "PRACK") {
            headers.push(("Contact", self.contact(line)));
        }
        if matches!(line.method.as_str(), "INVITE" | "UPDATE") {
            headers.push(("Allow", ALLOW.into()));
        }
        if line.method == "PRACK" {
            let rel = self.all.iter().rev().find(|l| l.id < line.id && !self.mine(l) && l.reliable);
            if let Some(rel) = rel {
                let invite = rel.about.and_then(|id| self.cseqs.get(&id)).copied().unwrap_or_default();
                headers.push(("RAck", format!("[$rseq{}] {invite} INVITE", rel.id)));
            }
        }
        let has_offer = |id: usize| self.all.iter().any(|l| l.id == id && l.sdp.is_some());
        let answer = match line.method.as_str() {
            "ACK" => true,
            "PRACK" => !self.all.first().is_some_and(|l| has_offer(l.id)) && line.sdp.is_some(),
            _ => false,
        };
        self.message(format!("{} {uri} SIP/2.0", line.method), headers, line, answer)
    }

    fn branch(&self, line: &Line) -> String {
        if let Some(branch) = &line.branch {
            return format!("z9hG4bK-{branch}");
        }
        let shared = line.about.filter(|id| {
            let refused = self
                .all
                .iter()
                .any(|l| l.about == Some(*id) && !l.is_request() && l.statuses.iter().any(|s| *s >= 300));
            line.method == "CANCEL" || refused
        });
        format!("z9hG4bK-{}-{}", self.place.own, shared.unwrap_or(line.id))
    }

    fn response(&mut self, line: &Line) -> String {
        let id = line.about.unwrap_or_default();
        let status = line.statuses.first().copied().unwrap_or(200);
        let dialog = self.all.iter().any(|l| {
            l.id < id
                && self.mine(l)
                && l.method == "INVITE"
                && l.statuses.iter().any(|s| (101..300).contains(s))
        });
        let tag = match &line.tag {
            Some(tag) => format!(";tag={tag}"),
            None if dialog || self.caller || status == 100 => String::new(),
            None => ";tag=peer".into(),
        };
        let mut headers: Vec<(&str, String)> = match &line.branch {
            Some(branch) => {
                vec![("Via", format!("SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bK-{branch}", self.place.other))]
            }
            None => (0..=self.place.hops).map(|nth| ("Via", format!("[$via{nth}x{id}]"))).collect(),
        };
        if let Some(routes) = self.routes.filter(|routes| *routes == id) {
            let lines = (0..self.place.hops).map(|nth| ("Record-Route", format!("[$route{nth}x{routes}]")));
            headers.extend(lines);
        }
        headers.extend([
            ("From", format!("[$from{id}]")),
            ("To", format!("[$to{id}]{tag}")),
            ("Call-ID", "[call_id]".into()),
            ("CSeq", format!("[$cseq{id}]")),
        ]);
        let sets_target = matches!(line.method.as_str(), "INVITE" | "UPDATE");
        if (101..300).contains(&status) && sets_target {
            headers.push(("Contact", self.contact(line)));
        }
        if (200..300).contains(&status) && sets_target {
            headers.push(("Allow", ALLOW.into()));
        }
        if line.reliable {
            self.last_rseq = line.rseq.unwrap_or(self.last_rseq + 1);
            headers.push(("Require", "100rel".into()));
            headers.push(("RSeq", self.last_rseq.to_string()));
        }
        let answer = self.all.iter().any(|l| l.id == id && l.sdp.is_some());
        self.message(format!("SIP/2.0 {status} {}", reason(status)), headers, line, answer)
    }

    fn contact(&self, line: &Line) -> String {
        format!("<sip:{}@127.0.0.1:{}>", line.user.as_deref().unwrap_or("peer"), self.place.own)
    }

    fn message(&mut self, first: String, headers: Vec<(&str, String)>, line: &Line, answer: bool) -> String {
        // in midcall's place a pattern can be written only where it is plain text
        let written = |word: &HeaderWord| {
            !self.place.mirror || !word.value.as_deref().is_some_and(|v| v.contains(['[', '(', '|', '.']))
        };
        let words: Vec<&HeaderWord> = line.headers.iter().filter(|word| written(word)).collect();
        let named = |name: &str| words.iter().any(|word| word.name.eq_ignore_ascii_case(name));
        let mut text = format!("{first}\n");
        for (name, value) in headers.iter().filter(|(name, _)| !named(name)) {
            let _ = writeln!(text, "{name}: {}", value.trim_start());
        }
        for word in words.iter().filter(|word| !word.absent) {
            let value = word.value.as_deref().unwrap_or("1");
            let plain =
                if self.place.mirror { value.replace(['^', '$', '\\'], "") } else { value.to_string() };
            let _ = writeln!(text, "{}: {plain}", word.name);
        }
        let content_type = named("Content-Type");
        let body = match (&line.sdp, line.fragment) {
            (Some(SdpWords { body: Some(name), .. }), _) => {
                self.origin(line);
                self.bodies.get(name).cloned().unwrap_or_default()
            }
            (Some(words), _) => {
                let origin = self.origin(line);
                description(words, answer, origin, self.place.media)
            }
            (None, Some(status)) => format!("SIP/2.0 {status} {}\n", reason(status)),
            (None, None) => String::new(),
        };
        if body.is_empty() {
            text.push_str("Content-Length: 0\n");
            return text;
        }
        if !content_type {
            let kind = if line.sdp.is_some() { "application/sdp" } else { "message/sipfrag;version=2.0" };
            let _ = writeln!(text, "Content-Type: {kind}");
        }
        let _ = write!(text, "Content-Length: [len]\n\n{}", body.trim_end());
        text.push('\n');
        text
    }

    /// Session and version of the next description of a line's dialog.
    fn origin(&mut self, line: &Line) -> (u32, i64) {
        let fresh = 7000 + 10 * u32::try_from(self.descriptions.len()).unwrap_or(0);
        let tag = line.tag.clone().unwrap_or_default();
        let (session, version) = self.descriptions.entry(tag).or_insert((fresh, 0));
        let words = line.sdp.as_ref();
        *version += words.and_then(|words| words.version).unwrap_or(1);
        *session += u32::from(words.is_some_and(|words| words.new_id));
        (*session, *version)
    }

    fn finish(mut self, name: &str) -> String {
        let mut text =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"{name}\">\n{}", self.out);
        if !self.later.is_empty() {
            let end = self.label();
            let _ =
                writeln!(text, "  <nop next=\"{end}\"/>\n{}  <label id=\"{end}\"/>\n  <nop/>", self.later);
        }
        let variables: Vec<String> = self.variables.into_iter().collect();
        if !variables.is_empty() {
            let _ = writeln!(text, "  <Reference variables=\"{}\"/>", variables.join(","));
        }
        text.push_str("</scenario>\n");
        text
    }
}

const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY, INFO, MESSAGE, SUBSCRIBE";
