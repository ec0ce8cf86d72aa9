//! Random changes by both sides on a bad wire: whatever happens, the call stays up and both ends agree in the end.

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::rng::Rng;
use midcall_proto::session::{Agreed, Codec};
use midcall_testkit::agent::Call;
use midcall_testkit::prelude::*;

/// One random verb at one end. A refusal is an answer too: nothing was sent.
fn act(rng: &mut Rng, agent: &mut Agent, call: Call) {
    let change = match rng.below(7) {
        0 => Modification::Hold(None),
        1 => Modification::Resume(None),
        2 => Modification::Codecs(vec![Codec::pcmu(), Codec::telephone_event()]),
        3 => Modification::Codecs(vec![Codec::pcma(), Codec::pcmu()]),
        4 => Modification::Repeat,
        5 => Modification::Refresh,
        _ => Modification::Offerless,
    };
    let prefer = [None, Some(Prefer::Update), Some(Prefer::ReInvite)][rng.below(3) as usize];
    let _ = agent.call(call).attempt(|call, now| call.modify(now, change, prefer));
}

fn storm(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut pair = Pair::new(Seed(seed)).latency(ms(30));
    let call = pair.call();
    {
        let weather = pair.wire.weather();
        (weather.jitter, weather.loss, weather.duplication, weather.reordering) = (ms(60), 150, 40, 40);
    }
    for _ in 0..12 {
        if rng.below(2) == 0 {
            act(&mut rng, &mut pair.a, call);
        } else {
            act(&mut rng, &mut pair.b, call);
        }
        pair.run_for(ms(rng.below(500)));
    }
    pair.wire.weather().loss = 0;
    pair.run_for(secs(40));
    pair.settle();
    assert!(pair.a.is_up(call) && pair.b.is_up(call), "seed {seed}: the call is gone");
    let (a, b) = (agreed(&pair.a, call), agreed(&pair.b, call));
    assert_eq!(flow(&a), mirrored(&flow(&b)), "seed {seed}: the ends disagree");
}

fn agreed(agent: &Agent, call: Call) -> Agreed {
    agent.look(call).and_then(|call| call.agreed()).expect("a call that is up has a session")
}

type Flow = Vec<(bool, bool, Option<(String, u16)>, Option<(String, u16)>)>;

fn flow(agreed: &Agreed) -> Flow {
    let stream =
        |s: &midcall_proto::session::AgreedStream| (s.sends, s.receives, s.local.clone(), s.remote.clone());
    agreed.streams.iter().map(stream).collect()
}

fn mirrored(flow: &Flow) -> Flow {
    flow.iter().cloned().map(|(sends, receives, local, remote)| (receives, sends, remote, local)).collect()
}

#[test]
fn both_ends_agree_after_a_storm() {
    for seed in 0..40 {
        storm(seed);
    }
}
