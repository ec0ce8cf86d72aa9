//! The command line.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use midcall_wire::{NameAddr, Scheme, Uri};

use crate::analyze::{Export, When};
use crate::script::{Script, help};

/// SIP calls that change while they are up: place them, answer them, and see which rule decided.
#[derive(Debug, Parser)]
#[command(name = "midcall", version, styles = STYLES, propagate_version = true, max_term_width = 100)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Place a call and change it as told
    #[command(after_help = verbs_help())]
    Call(Box<CallOptions>),
    /// Answer calls and change them as told
    #[command(after_help = verbs_help())]
    Answer(Box<AnswerOptions>),
    /// Explain a trace: what went wrong in its calls, who did it, and what to change
    #[command(after_help = ANALYZE_CODES)]
    Analyze(AnalyzeOptions),
    /// Show a rule with its RFC sections, or the table of all rules
    Rules(RulesOptions),
    /// Run a whole call between three agents on this machine, with every kind of change
    Demo(DemoOptions),
}

#[derive(Args, Debug)]
pub(crate) struct CallOptions {
    /// Whom to call, such as sip:bob@192.0.2.7:5060
    #[arg(value_name = "URI", value_parser = callable)]
    pub(crate) to: String,
    /// Send no offer: the other side makes it
    #[arg(long)]
    pub(crate) offerless: bool,
    #[command(flatten)]
    pub(crate) agent: AgentOptions,
}

#[derive(Args, Debug)]
pub(crate) struct AnswerOptions {
    /// Stop after so many calls; 0 goes on until Ctrl-C
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) calls: u32,
    #[command(flatten)]
    pub(crate) agent: AgentOptions,
}

/// What `call` and `answer` share.
#[derive(Args, Debug)]
pub(crate) struct AgentOptions {
    /// Where to listen, such as udp:192.0.2.1:5060; repeat it for more. Without it, `answer` takes port 5060 of all addresses
    /// and `call` any port of the address that leads to the other side, UDP and TCP
    #[arg(long, value_name = "TRANSPORT:ADDRESS:PORT", help_heading = "Who and where")]
    pub(crate) listen: Vec<String>,
    /// Who we are, such as sip:alice@example.com
    #[arg(long, value_name = "URI", value_parser = identity, help_heading = "Who and where")]
    pub(crate) from: Option<String>,
    /// The user name for challenges (401, 407); the password comes from --password-file or MIDCALL_PASSWORD
    #[arg(long, value_name = "NAME", help_heading = "Who and where")]
    pub(crate) user: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", requires = "user", help_heading = "Who and where")]
    pub(crate) password_file: Option<PathBuf>,
    /// Send what is outside a call through this proxy
    #[arg(long, value_name = "URI", value_parser = callable, help_heading = "Who and where")]
    pub(crate) outbound_proxy: Option<String>,
    /// Register with this registrar and stay registered
    #[arg(long, value_name = "URI", value_parser = callable, help_heading = "Who and where")]
    pub(crate) register: Option<String>,

    /// Codecs to offer and take, the best first
    #[arg(long, value_name = "NAME,NAME", default_value = "pcma,pcmu", value_parser = codec_list, help_heading = "Media")]
    pub(crate) codecs: Codecs,
    /// Play this file, then silence; without it `call` sends a tone and `answer` an echo
    #[arg(long, value_name = "FILE.wav", help_heading = "Media")]
    pub(crate) play: Option<PathBuf>,
    /// Record what comes in
    #[arg(long, value_name = "FILE.wav", help_heading = "Media")]
    pub(crate) record: Option<PathBuf>,
    /// Ports for media, such as 10000-10999; without it the system chooses
    #[arg(long, value_name = "LOW-HIGH", help_heading = "Media")]
    pub(crate) rtp_ports: Option<midcall::media::PortRange>,

    /// Ask for a session timer of so many seconds (RFC 4028)
    #[arg(long, value_name = "SECONDS", value_parser = interval, help_heading = "How to change calls")]
    pub(crate) session_expires: Option<u32>,
    /// Take no session timer below so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = interval, help_heading = "How to change calls")]
    pub(crate) min_se: u32,
    /// What carries a change where the rules leave a choice
    #[arg(long, value_name = "METHOD", default_value = "reinvite", help_heading = "How to change calls")]
    pub(crate) prefer: Method,
    /// Neither send nor take UPDATE
    #[arg(long, help_heading = "How to change calls")]
    pub(crate) no_update: bool,
    /// No reliable provisional responses
    #[arg(long, conflicts_with = "require_100rel", help_heading = "How to change calls")]
    pub(crate) no_100rel: bool,
    /// Insist on reliable provisional responses
    #[arg(long, help_heading = "How to change calls")]
    pub(crate) require_100rel: bool,
    /// No session timers
    #[arg(long, conflicts_with = "session_expires", help_heading = "How to change calls")]
    pub(crate) no_timer: bool,
    /// What to do when the other side takes on another identity in mid-call (RFC 4916)
    #[arg(long, value_name = "WHAT", default_value = "accept", help_heading = "How to change calls")]
    pub(crate) identity_change: Decision,
    /// What to do with streams that the other side adds in mid-call: pictures are counted, not shown
    #[arg(long, value_name = "WHAT", default_value = "refuse", help_heading = "How to change calls")]
    pub(crate) new_streams: NewStreams,
    /// Where a 2xx describes another session than the 1xx before it, follow the 2xx: some gateways rely on it
    #[arg(long, help_heading = "How to change calls")]
    pub(crate) follow_last_answer: bool,

    /// What to do, verbs joined by ';' (see below); without it, verbs are read from the keyboard or a pipe
    #[arg(long = "do", value_name = "SCRIPT", value_parser = Script::parse, help_heading = "What to do and to show")]
    pub(crate) script: Option<Script>,
    /// How to tell what happens
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "What to do and to show")]
    pub(crate) events: Format,
    /// Write our own signalling to this file, for Wireshark and its like
    #[arg(long, value_name = "FILE.pcapng", help_heading = "What to do and to show")]
    pub(crate) capture: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct AnalyzeOptions {
    /// Captures and logs, merged by time: pcap, pcapng, HEP, every usual text log, packed with gzip or not. `-` reads
    /// standard input; `hep:udp:HOST:PORT` and `hep:tcp:HOST:PORT` collect HEP until Ctrl-C, and each call is told soon after
    /// it is over
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,
    /// Read TLS with the keys in this file, as SSLKEYLOGFILE has them
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Option<PathBuf>,
    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: AnalyzeFormat,
    /// Where the report goes, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Of which calls the ladder is drawn; without it, of those with a finding, and of all if they are few
    #[arg(long, value_name = "CALLS")]
    pub(crate) ladder: Option<LadderOf>,
    /// From which severity on the exit code is 1
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub(crate) fail_on: FailOn,
    /// Write a call as something to play instead: a ladder fixture, or a SIPp scenario of the side that did wrong, of the
    /// caller or of the callee
    #[arg(long, value_name = "KIND", value_parser = Export::parse, conflicts_with_all = ["format", "ladder"])]
    pub(crate) export: Option<Export>,
    /// Replace everything that names somebody: users, hosts, addresses, numbers, Call-IDs, tags, keys
    #[arg(long)]
    pub(crate) anonymize: bool,

    /// Only calls whose Call-ID contains this
    #[arg(long, value_name = "TEXT", help_heading = "What to show")]
    pub(crate) call_id: Option<String>,
    /// Only findings of this side (caller, callee, network), or calls of who is called so
    #[arg(long, value_name = "SIDE|NAME", help_heading = "What to show")]
    pub(crate) party: Option<String>,
    /// Only calls with a request of this method
    #[arg(long, value_name = "METHOD", help_heading = "What to show")]
    pub(crate) method: Option<String>,
    /// Only findings of this rule (UP-13) or family (UP)
    #[arg(long, value_name = "CODE", help_heading = "What to show")]
    pub(crate) rule: Option<String>,
    /// Only calls that went on at or after this time: seconds since the trace began, a time of day, or a day and a time, UTC
    #[arg(long, value_name = "TIME", value_parser = When::parse, help_heading = "What to show")]
    pub(crate) from: Option<When>,
    /// Only calls that began by this time
    #[arg(long, value_name = "TIME", value_parser = When::parse, help_heading = "What to show")]
    pub(crate) to: Option<When>,
}

#[derive(Args, Debug)]
pub(crate) struct RulesOptions {
    /// A rule such as UP-13, or a family such as UP; all of them without it
    pub(crate) code: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DemoOptions {
    /// Where to write the packets
    #[arg(long, value_name = "FILE.pcapng", default_value = "demo.pcapng")]
    pub(crate) capture: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    Reinvite,
    Update,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnalyzeFormat {
    Text,
    Json,
    /// A page that needs nothing else
    Html,
    /// A sequence diagram
    Mermaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LadderOf {
    All,
    Bad,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decision {
    Accept,
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewStreams {
    Accept,
    Ask,
    Refuse,
}

/// A list of codecs. A type of its own, or clap would take every codec for an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Codecs(pub(crate) Vec<midcall_proto::session::Codec>);

fn codec_list(text: &str) -> Result<Codecs, String> {
    let list = crate::script::codecs(text);
    list.map(Codecs)
        .map_err(|name| format!("there is no codec `{name}`; known: {}", crate::script::codecs_known()))
}

fn callable(text: &str) -> Result<String, String> {
    match Uri::parse(text) {
        Ok(uri) if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && !uri.host.is_empty() => {
            Ok(text.to_owned())
        }
        Ok(_) => Err("it takes a sip: or sips: URI".to_owned()),
        Err(_) if !text.contains(':') && text.contains('@') => Err(format!("say sip:{text}")),
        Err(_) if !text.contains(':') => Err(format!("say sip:{text} if it is a host, or sip:{text}@HOST")),
        Err(error) => Err(format!("{error}; a SIP URI looks like sip:bob@192.0.2.7:5060")),
    }
}

/// Who we are: a SIP URI, with or without a display name.
fn identity(text: &str) -> Result<String, String> {
    let uri = NameAddr::parse(text).map_or(text, |address| address.uri);
    callable(uri).map(|_| text.to_owned())
}

/// A session interval: RFC 4028 §4 knows none below 90 seconds.
fn interval(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds @ 90..) => Ok(seconds),
        Ok(_) => Err("RFC 4028 §4 knows no session interval below 90 seconds".to_owned()),
        Err(_) => Err("say a number of seconds, such as 1800".to_owned()),
    }
}

fn verbs_help() -> String {
    let (verbs, what) = (help::verbs(str::to_owned), help::expectations());
    let codes = "Exit codes: 0 did all that was asked, 1 the call or a step failed, 2 could not start.";
    format!("Verbs of --do and of the prompt:\n{verbs}\nWHAT: {what}\n\n{codes}")
}

const ANALYZE_CODES: &str =
    "Exit codes: 0 nothing found from --fail-on on, 1 something found, 2 the trace could not be read.";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Yellow.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Green.on_default());
