//! What a ladder script says, once it is read. The grammar is in the module above.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::sketch::Tweak;

/// A party of a ladder, named by a capital letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who(pub char);

impl Who {
    /// Nobody at a seat: what got lost, or was made, between the parties.
    pub const NETWORK: Self = Self('*');

    /// The user part of its URIs.
    pub fn name(self) -> String {
        match self.0 {
            'A' => "alice".to_owned(),
            'B' => "bob".to_owned(),
            'C' => "carol".to_owned(),
            'D' => "dave".to_owned(),
            other => format!("user-{}", other.to_ascii_lowercase()),
        }
    }

    /// Its address.
    pub fn address(self) -> SocketAddr {
        let last = u8::try_from(u32::from(self.0).saturating_sub(64)).unwrap_or(200);
        SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 5060))
    }

    /// Its address of record.
    pub fn uri(self) -> String {
        format!("sip:{}@{}", self.name(), self.address())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NETWORK { f.write_str("the network") } else { write!(f, "{}", self.0) }
    }
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    /// What went before.
    pub start: Start,
    /// What the parties can do.
    pub settings: Vec<(Who, Setting)>,
    /// Named bodies.
    pub bodies: HashMap<String, String>,
    /// Messages and waits, in order.
    pub steps: Vec<Step>,
    /// What must be found; empty with `expect nothing`.
    pub expects: Vec<Expect>,
    /// Whether `expect nothing` stands in it.
    pub clean: bool,
    /// Codes that may be found or not.
    pub allowed: Vec<String>,
    /// Seats in which an endpoint cannot tell the breach, with the reason.
    pub silent: Vec<(Who, String)>,
    /// Seats that no endpoint takes, with the reason.
    pub skipped: Vec<(Who, String)>,
    /// Whether the breach may end the call.
    pub ends: bool,
    /// Why no observer is asked, if so.
    pub unobserved: Option<String>,
}

impl Ladder {
    /// The message lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.steps.iter().filter_map(|step| match step {
            Step::Send(line) => Some(&**line),
            Step::Wait(_) => None,
        })
    }

    /// The parties, in order of their letters; A and B are always there.
    pub fn parties(&self) -> Vec<Who> {
        let mut parties = vec![Who('A'), Who('B')];
        for line in self.lines() {
            parties.extend([line.from, line.to]);
            parties.extend(line.words.iter().filter_map(|word| match word {
                Word::By(who) => Some(*who),
                _ => None,
            }));
        }
        parties.sort_unstable();
        parties.dedup();
        parties
    }
}

/// What went before the first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Nothing.
    #[default]
    Nothing,
    /// A confirmed call from A to B.
    Call,
    /// An early dialog by an unreliable 180.
    Early,
    /// An early dialog whose first exchange is complete in a reliable 183.
    Reliable,
}

/// One setting of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A key and its value.
    Key(String, String),
    /// A header for every message of the scripted party.
    Always(Word),
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A message is sent.
    Send(Box<Line>),
    /// Time passes.
    Wait(Duration),
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// The line in the file, from 1.
    pub at: usize,
    /// Who sends it.
    pub from: Who,
    /// To whom.
    pub to: Who,
    /// How it travels.
    pub arrow: Arrow,
    /// The message.
    pub what: What,
    /// What is special about it.
    pub words: Vec<Word>,
}

impl Line {
    /// Whether it carries an SDP body.
    pub fn has_sdp(&self) -> bool {
        self.words.iter().any(|word| matches!(word, Word::Offer(_) | Word::Answer(_) | Word::Same))
    }

    /// Whether it ends a call, or a call being set up.
    pub fn ends_a_call(&self) -> bool {
        match &self.what {
            What::Request(method) => matches!(method.as_str(), "BYE" | "CANCEL"),
            What::Response(status, _) => *status >= 300,
            What::Again(_) => false,
        }
    }

    /// Whether it is an `unseen` line.
    pub fn unseen(&self) -> bool {
        self.words.contains(&Word::Unseen)
    }
}

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrow {
    /// After everything before it has arrived.
    Follows,
    /// Before line `.0` arrived.
    Crosses(usize),
    /// Arriving before line `.0`, sent earlier the same way.
    Overtakes(usize),
    /// It never arrives.
    Lost,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request of this method.
    Request(String),
    /// A response, to the newest open request or to the newest of this method.
    Response(u16, Option<String>),
    /// This line once more.
    Again(usize),
}

/// A number, told outright or from the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// This number.
    Is(u32),
    /// So much more than the last one.
    More(i64),
}

/// A tag to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// None at all.
    None,
    /// This one.
    Is(String),
}

/// What is special about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a word of the grammar and described there")]
pub enum Word {
    Offer(Option<String>),
    Answer(Option<String>),
    Same,
    Sdp(Tweak),
    Body(String),
    Set(String, String),
    Add(String, String),
    Remove(String),
    Reliable,
    RSeq(Number),
    CSeq(Number),
    CSeqMethod(String),
    ToTag(Tagging),
    FromTag(Tagging),
    Branch(String),
    CallId(String),
    Uri(String),
    Reason(String),
    Via(String),
    Sipfrag(u16),
    Of(usize),
    Tag(String),
    Call(String),
    Outside,
    At(Duration),
    After(Duration),
    By(Who),
    Source(SocketAddr),
    Unseen,
}

/// A breach that must be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Who breaks the rule.
    pub who: Who,
    /// Its code.
    pub code: String,
    /// In which line.
    pub at: usize,
    /// The earlier lines that make it so; not compared if none is given.
    pub because: Vec<usize>,
    /// How sure the observer can be.
    pub certainty: Certainty,
    /// What an endpoint sends in place of the line.
    pub instead: Option<u16>,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certainty {
    /// Wrong in every possible view of the sender.
    #[default]
    Certain,
    /// Wrong in some.
    Crossed,
    /// A lost packet could look the same.
    CaptureGap,
}
