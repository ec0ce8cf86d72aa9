//! Where the observer sits on the wire.

use midcall_proto::observer::{Certainty, Finding, Observer, ObserverConfig, Party, agrees};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;
use midcall_testkit::agent::Agent;
use midcall_testkit::ladder::{self, Cast, Found, Ladder, Live, Who};
use midcall_testkit::network::Packet;
use midcall_testkit::prelude::*;

/// Where a tap sees packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Each packet when it is sent.
    Sender,
    /// At this host: its own packets when they are sent, others when they arrive.
    Host(u8),
    /// Half-way.
    Middle,
}

pub(crate) const PLACES: [Place; 4] = [Place::Sender, Place::Host(1), Place::Host(2), Place::Middle];

/// What an observer at this place makes of the packets.
pub(crate) fn tap(packets: &[Packet], place: Place) -> Observer {
    let mut seen: Vec<(Instant, &Packet)> = Vec::new();
    for packet in packets {
        let own = |host: u8| packet.from.ip() == std::net::IpAddr::from([10, 0, 0, host]);
        let at = match place {
            Place::Sender => Some(packet.sent),
            Place::Host(host) if own(host) => Some(packet.sent),
            Place::Host(_) => packet.delivered(),
            Place::Middle => packet.delivered().map(|at| packet.sent + at.since(packet.sent) / 2),
        };
        seen.extend(at.map(|at| (at, packet)));
    }
    seen.sort_by_key(|(at, packet)| (*at, packet.number));
    let mut observer = Observer::new(ObserverConfig::default());
    for (at, packet) in seen {
        observer.observe(at, packet.from, packet.to, &packet.bytes);
    }
    observer
}

pub(crate) fn faults(observer: &Observer) -> Vec<&Finding> {
    observer.findings().iter().filter(|finding| finding.severity > Severity::Info).collect()
}

/// Nothing is found from anywhere, and both views of each dialog equal the agents' own.
#[track_caller]
pub(crate) fn clean(scene: &impl Scene, agents: &[&Agent]) {
    for place in PLACES {
        let mut observer = tap(scene.packets(), place);
        observer.tick(scene.now());
        let found = faults(&observer);
        assert!(found.is_empty(), "{place:?}: {}\n{}", told(&found), scene.ladder());
        if let Err(why) = same(&observer, agents) {
            panic!("{place:?}: {why}\n{}", scene.ladder());
        }
    }
}

pub(crate) fn told(found: &[&Finding]) -> String {
    found.iter().map(|finding| format!("{finding}\n")).collect()
}

/// Compares what is observed with what the agents know.
pub(crate) fn same(observer: &Observer, agents: &[&Agent]) -> Result<(), String> {
    for agent in agents {
        for id in agent.endpoint().calls() {
            let Some(call) = agent.look(id) else { continue };
            let Some(observed) = observer.call(call.call_id()) else {
                return Err(format!("{} is not observed", call.call_id()));
            };
            for own in call.dialogs() {
                let (ours, theirs) = (&*own.party.ours.tag, &*own.party.theirs.tag);
                let (caller, callee) = if own.owns_call_id() { (ours, theirs) } else { (theirs, ours) };
                let dialog = observed
                    .dialogs()
                    .iter()
                    .find(|dialog| (dialog.caller_tag(), dialog.callee_tag()) == (caller, callee));
                let Some(dialog) = dialog else {
                    if own.usage.early() || own.usage.over() {
                        continue; // before its first response no dialog can be seen
                    }
                    return Err(format!("dialog {caller} {callee} is not observed"));
                };
                let view = if own.owns_call_id() { dialog.of_caller() } else { dialog.of_callee() };
                agrees(&view, own).map_err(|why| format!("{}'s view: {why}", agent.uri()))?;
            }
        }
    }
    Ok(())
}

/// Ladders with an observer and nobody else.
pub(crate) struct Reader;

impl Cast for Reader {
    fn endpoint(&self, _: &Ladder, who: Who) -> Box<dyn Live> {
        panic!("nobody asked for an endpoint in seat {who}")
    }

    fn observe(&self, packets: &[Packet], unseen: &[usize]) -> Vec<Found> {
        let mut observer = Observer::new(ObserverConfig::default());
        let mut numbers = vec![0];
        let caller = packets.first().map(|packet| packet.from.ip());
        for packet in packets.iter().filter(|packet| !unseen.contains(&packet.number)) {
            if observer.observe(packet.sent, packet.from, packet.to, &packet.bytes).is_some() {
                numbers.push(packet.number);
            }
        }
        let last = packets.last().map_or(Instant::ZERO, |packet| packet.sent);
        observer.finish(last);
        let packet = |n: u32| numbers.get(n as usize).copied().unwrap_or_default();
        let who = |party: Party| match party {
            Party::Network => None,
            _ if caller.is_none() => None,
            Party::Caller => Some(Who('A')),
            Party::Callee => Some(Who('B')),
        };
        let found = observer.findings().iter().map(|finding| Found {
            code: finding.rule.code().to_owned(),
            by: who(finding.by),
            at: packet(finding.at),
            because: finding.because.iter().map(|n| packet(*n)).collect(),
            certainty: match finding.certainty {
                Certainty::Certain => ladder::Certainty::Certain,
                Certainty::Crossed => ladder::Certainty::Crossed,
                Certainty::CaptureGap => ladder::Certainty::CaptureGap,
            },
            info: finding.severity <= Severity::Info,
        });
        found.collect()
    }
}

/// Plays a ladder to the observer alone.
#[track_caller]
pub(crate) fn ladder(text: &str) {
    let mut text = text.to_owned();
    for who in ['A', 'B'] {
        text.push_str(&format!("\nskip {who}: only the observer is asked"));
    }
    let faults = ladder::check(&text, &Reader);
    assert!(faults.is_empty(), "{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}
