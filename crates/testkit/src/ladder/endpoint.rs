//! A midcall endpoint in a seat of a ladder: which verb leads to which line.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use midcall_proto::endpoint::{Config, Invite, Modification, Policy, Prefer, Reliable};
use midcall_proto::event::{CallEvent, CallId, Event};
use midcall_proto::session::{Codec, MediaKind, Stream, Wanted};
use midcall_proto::time::Instant;

use super::compose::Sent;
use super::script::{Ladder, Line, Setting, What, Who, Word};
use super::stage::Live;
use crate::agent::{self, Agent};
use crate::network::Arrival;
use crate::node::{Node, Outgoing};
use crate::raw::bare_uri;
use crate::sketch::Tweak;

/// An endpoint that plays a party of a ladder.
#[derive(Debug)]
pub struct Actor {
    agent: Agent,
    /// Its calls by their names in the ladder.
    calls: HashMap<String, CallId>,
    /// What it appends to the URIs that it calls.
    transport: &'static str,
}

impl Actor {
    /// An endpoint for this seat, with the settings of the ladder.
    pub fn new(ladder: &Ladder, who: Who) -> Self {
        let mut config = agent::config(&who.name(), who.address());
        let mut transport = "";
        for (own, setting) in &ladder.settings {
            if let Setting::Key(key, value) = setting
                && *own == who
            {
                if (key.as_str(), value.as_str()) == ("transport", "tcp") {
                    transport = ";transport=tcp";
                }
                set(&mut config, key, value);
            }
        }
        let seat = usize::try_from(u32::from(who.0).saturating_sub(65)).unwrap_or_default();
        Self { agent: Agent::new(&who.name(), seat, config, 23), calls: HashMap::new(), transport }
    }

    /// The endpoint.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    fn request(&mut self, line: &Line, method: &str) -> Result<(), String> {
        let name = Sent::call_name(line);
        let known = self.calls.get(&name).copied().or_else(|| self.met(line));
        let Some(call) = known else {
            return match method {
                "INVITE" => {
                    let to = format!("<{}{}>", line.to.uri(), self.transport);
                    let mut invite = Invite::new(&to, self.agent.session.clone());
                    invite.late = !line.has_sdp();
                    let call = self.agent.invite_with(invite);
                    self.calls.insert(name, call);
                    Ok(())
                }
                "ACK" | "PRACK" => Ok(()),
                _ => Err(format!("no verb for {method} outside a call")),
            };
        };
        match method {
            "ACK" | "PRACK" | "NOTIFY" => Ok(()),
            "INVITE" if !line.has_sdp() => self.modify(call, Modification::Offerless, Some(Prefer::ReInvite)),
            "INVITE" => self.change(call, line, Prefer::ReInvite),
            "UPDATE" if !line.has_sdp() => self.modify(call, Modification::Refresh, Some(Prefer::Update)),
            "UPDATE" => self.change(call, line, Prefer::Update),
            "BYE" => self.verb(call, |call, now| call.hang_up(now)),
            "CANCEL" => self.verb(call, |call, now| call.cancel(now)),
            "REFER" => {
                let target = line.words.iter().find_map(|word| match word {
                    Word::Set(name, value) if name.eq_ignore_ascii_case("Refer-To") => {
                        Some(bare_uri(value).to_owned())
                    }
                    _ => None,
                });
                let target = target.filter(|target| !target.contains('{')).unwrap_or_else(|| Who('C').uri());
                self.verb(call, |call, now| call.transfer(now, &target))
            }
            _ => Err(format!("no verb for {method}")),
        }
    }

    fn respond(&mut self, line: &Line, status: u16) -> Result<(), String> {
        let Some(call) = self.calls.get(&Sent::call_name(line)).copied().or_else(|| self.met(line)) else {
            return Ok(());
        };
        let session = self.agent.session.clone();
        let waits = self.agent.endpoint().look(call).is_some_and(|call| {
            !call.outgoing() && !call.ended() && call.dialog().is_some_and(|dialog| dialog.usage.early())
        });
        let setup = matches!(&line.what, What::Response(_, method) if method.as_deref().is_none_or(|m| m == "INVITE"));
        if waits && setup {
            return match status {
                100 => Ok(()),
                183 if line.has_sdp() => self.verb(call, |call, now| call.early(now, session)),
                101..200 => self.verb(call, |call, now| call.ring(now)),
                200..300 => self.verb(call, |call, now| call.accept(now, Some(session))),
                _ => self.verb(call, |call, now| call.refuse(now, status)),
            };
        }
        let asked =
            self.agent.told(call).last().is_some_and(|event| matches!(event, CallEvent::Offered { .. }));
        if asked && status >= 200 {
            let rejects = line.words.iter().any(|word| matches!(word, Word::Sdp(Tweak::Reject(_))));
            let accepts = status < 300 && !rejects;
            let mut wider =
                self.agent.endpoint().look(call).and_then(|call| call.wanted().cloned()).unwrap_or(session);
            if !wider.wants(&MediaKind::Video) {
                wider.add_stream(video(&wider));
            }
            return self.verb(call, |call, now| call.answer_offer(now, accepts.then_some(wider)));
        }
        Ok(())
    }

    /// The call with the other party of a line, if this seat did not place it for the ladder.
    fn met(&mut self, line: &Line) -> Option<CallId> {
        let other = line.to.address().to_string();
        let endpoint = self.agent.endpoint();
        let calls: Vec<CallId> =
            endpoint.calls().filter(|call| !self.calls.values().any(|known| known == call)).collect();
        let with = |call: &&CallId| {
            let mut dialogs =
                endpoint.look(**call).into_iter().flat_map(|call| call.dialogs().collect::<Vec<_>>());
            dialogs.any(|dialog| dialog.party.theirs.uri.contains(&other))
        };
        let met = *calls.iter().rev().find(with)?;
        self.calls.insert(Sent::call_name(line), met);
        Some(met)
    }

    /// The change of session that a line's words describe.
    fn change(&mut self, call: CallId, line: &Line, prefer: Prefer) -> Result<(), String> {
        let tweaks = line.words.iter().filter_map(|word| match word {
            Word::Sdp(tweak) => Some(tweak),
            _ => None,
        });
        let wanted = self.agent.endpoint().look(call).and_then(|call| call.wanted().cloned());
        let mut wanted = wanted.unwrap_or_else(|| self.agent.session.clone());
        let mut changed = false;
        for tweak in tweaks {
            changed = true;
            bend(&mut wanted, tweak)?;
        }
        let change = if changed { Modification::Replace(Box::new(wanted)) } else { Modification::Repeat };
        self.modify(call, change, Some(prefer))
    }

    fn modify(&mut self, call: CallId, change: Modification, prefer: Option<Prefer>) -> Result<(), String> {
        self.verb(call, |call, now| call.modify(now, change, prefer))
    }

    fn verb<R>(
        &mut self,
        call: CallId,
        verb: impl FnOnce(
            &mut midcall_proto::endpoint::CallMut<'_>,
            Instant,
        ) -> Result<R, midcall_proto::endpoint::Refused>,
    ) -> Result<(), String> {
        self.agent.call(call).attempt(verb).map(drop).map_err(|refused| refused.rule.code().to_owned())
    }
}

fn set(config: &mut Config, key: &str, value: &str) {
    let policy = |value: &str| match value {
        "accept" => Policy::Accept,
        "ask" => Policy::Ask,
        _ => Policy::Refuse,
    };
    match (key, value) {
        ("update", value) => config.update = value != "no",
        ("100rel", "no") => config.reliable = Reliable::Off,
        ("100rel", "required") => config.reliable = Reliable::Required,
        ("timer", "no") => config.timer = false,
        ("timer", seconds) => config.session_expires = seconds.parse().ok(),
        ("min-se", seconds) => config.min_se = seconds.parse().unwrap_or(90),
        ("from-change", value) => config.from_change = value == "yes",
        ("prefer", "update") => config.prefer = Prefer::Update,
        ("refer", value) => config.refer = policy(value),
        ("new-streams", value) => config.new_streams = policy(value),
        ("strict-5057", value) => config.strict_5057 = value == "yes",
        _ => {}
    }
}

/// Makes a session want what a tweak shows.
fn bend(wanted: &mut Wanted, tweak: &Tweak) -> Result<(), String> {
    let stream = |wanted: &Wanted, kind: &Option<String>| {
        let kind = kind.as_deref().map_or(MediaKind::Audio, MediaKind::parse);
        wanted.streams.iter().position(|stream| stream.kind == kind).unwrap_or_default()
    };
    let address = wanted.address;
    match tweak {
        Tweak::Direction(None, way) if way == "sendonly" => wanted.hold(),
        Tweak::Direction(None, way) if way == "inactive" => wanted.hold_silently(),
        Tweak::Direction(None, way) if way == "sendrecv" => wanted.resume(),
        Tweak::Direction(Some(kind), way) if way == "sendonly" => {
            wanted.hold_stream(stream(wanted, &Some(kind.clone())));
        }
        Tweak::Add(kind) if kind == "video" => {
            wanted.add_stream(video(wanted));
        }
        Tweak::Reject(kind) => {
            wanted.drop_stream(stream(wanted, &Some(kind.clone())));
        }
        Tweak::Port(kind, port) => {
            wanted.move_to(stream(wanted, kind), address, *port);
        }
        Tweak::Connection(text) => {
            let address: IpAddr = text.parse().map_err(|_| format!("no verb for c={text}"))?;
            wanted.move_address(address);
        }
        Tweak::Codecs(kind, codecs) => {
            let codecs = codecs.iter().filter_map(|codec| known(codec));
            wanted.codecs(stream(wanted, kind), codecs);
        }
        Tweak::Attribute(line) => {
            wanted.streams.first_mut().into_iter().for_each(|stream| stream.attributes.push(line.clone()));
        }
        Tweak::Version(_) => {}
        other => return Err(format!("no verb for {other:?}")),
    }
    Ok(())
}

fn video(wanted: &Wanted) -> Stream {
    let port = wanted.streams.iter().map(|stream| stream.port).max().unwrap_or(40_000) + 2;
    Stream::video(port, [Codec::new("H264", 90_000)])
}

fn known(codec: &str) -> Option<Codec> {
    match codec.split(':').next_back()?.split('/').next()?.to_ascii_lowercase().as_str() {
        "0" | "pcmu" => Some(Codec::pcmu()),
        "8" | "pcma" => Some(Codec::pcma()),
        "9" | "g722" => Some(Codec::g722()),
        "opus" => Some(Codec::opus()),
        "101" | "telephone-event" => Some(Codec::telephone_event()),
        _ => None,
    }
}

impl Live for Actor {
    fn prompt(&mut self, _: Instant, line: &Line) -> Result<(), String> {
        match &line.what {
            What::Again(_) => Ok(()),
            What::Request(method) => self.request(line, &method.clone()),
            What::Response(status, _) => self.respond(line, *status),
        }
    }

    fn peer_broke(&self) -> Vec<String> {
        self.agent.peers_broke().into_iter().map(|rule| rule.code().to_owned()).collect()
    }

    fn ended(&self) -> Option<String> {
        self.agent.events().iter().find_map(|(_, event)| match event {
            Event::Call { event: CallEvent::Ended { why }, .. } => Some(format!("{why:?}")),
            _ => None,
        })
    }

    fn as_node(&mut self) -> &mut dyn Node {
        self
    }
}

impl Node for Actor {
    fn name(&self) -> &str {
        self.agent.name()
    }

    fn addresses(&self) -> &[SocketAddr] {
        self.agent.addresses()
    }

    fn arrive(&mut self, now: Instant, at: SocketAddr, arrival: Arrival) {
        self.agent.arrive(now, at, arrival);
    }

    fn wake(&mut self, now: Instant) {
        self.agent.wake(now);
    }

    fn sends(&mut self) -> Vec<Outgoing> {
        self.agent.sends()
    }

    fn due(&self) -> Option<Instant> {
        self.agent.due()
    }
}
