//! Whatever comes in whatever order: nothing panics, nothing stays for ever, nothing answers without end.

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Request {
        method: usize,
        branch: u8,
        stream: bool,
    },
    Receive {
        method: usize,
        branch: u8,
        stream: bool,
    },
    /// A response to one of ours.
    Answer {
        method: usize,
        branch: u8,
        status: u16,
    },
    /// A response of ours to the nth request that was received.
    Respond {
        nth: usize,
        status: u16,
    },
    Cancelled {
        nth: usize,
    },
    Broken,
    Closed,
    Wait {
        millis: u64,
    },
}

const METHODS: [&str; 6] = ["INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "DANCE"];
const SENDABLE: [&str; 5] = ["INVITE", "CANCEL", "BYE", "UPDATE", "DANCE"];

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(100), Just(180), Just(200), Just(202), Just(302), Just(408), 100u16..700];
    prop_oneof![
        (0..SENDABLE.len(), 0u8..4, any::<bool>()).prop_map(|(method, branch, stream)| Step::Request {
            method,
            branch,
            stream
        }),
        (0..METHODS.len(), 0u8..4, any::<bool>()).prop_map(|(method, branch, stream)| Step::Receive {
            method,
            branch,
            stream
        }),
        (0..SENDABLE.len(), 0u8..4, status.clone()).prop_map(|(method, branch, status)| Step::Answer {
            method,
            branch,
            status
        }),
        (0usize..20, status).prop_map(|(nth, status)| Step::Respond { nth, status }),
        (0usize..20).prop_map(|nth| Step::Cancelled { nth }),
        Just(Step::Broken),
        Just(Step::Closed),
        (0u64..40_000).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// Branches: modern ones, a bare cookie, none of ours.
fn branch(number: u8) -> String {
    match number {
        0 => "old".to_owned(),
        1 => "z9hG4bK".to_owned(),
        _ => format!("z9hG4bK{number}"),
    }
}

fn flow(stream: bool) -> Flow {
    if stream { tcp() } else { udp() }
}

struct World {
    bench: Bench,
    sent: Vec<ClientId>,
    served: Vec<(ServerId, Msg)>,
}

impl World {
    fn take(&mut self, step: Step) {
        let bench = &mut self.bench;
        match step {
            Step::Request { method, branch: b, stream } => {
                self.sent.push(bench.request(flow(stream), &ours(SENDABLE[method], &branch(b))));
            }
            Step::Receive { method, branch: b, stream } => {
                if let Received::Request { id, msg, .. } =
                    bench.receive(flow(stream), &theirs(METHODS[method], &branch(b)))
                {
                    self.served.push((id, msg));
                }
            }
            Step::Answer { method, branch: b, status } => {
                bench.receive(udp(), &reply(&ours(SENDABLE[method], &branch(b)), status, "bob"));
            }
            Step::Respond { nth, status } => {
                if let Some((id, request)) = self.served.get(nth) {
                    bench.respond(*id, request, status);
                }
            }
            Step::Cancelled { nth } => {
                if let Some(id) = self.sent.get(nth) {
                    bench.layer.cancel_timeout(bench.now, *id);
                }
            }
            Step::Broken => bench.layer.transport_error(bench.now, udp().transport, udp().remote),
            Step::Closed => bench.layer.closed(bench.now, 1),
            Step::Wait { millis } => bench.until(bench.now.as_micros() / 1_000 + millis),
        }
        bench.drain();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_outlives_64_t1_of_quiet(steps in prop::collection::vec(step(), 1..60)) {
        crate::covers!("SEC-11", "SEC-13");
        let mut world = World { bench: Bench::new(), sent: Vec::new(), served: Vec::new() };
        for step in steps {
            let before = world.bench.log.len();
            let waits = matches!(step, Step::Wait { .. });
            let broken = matches!(step, Step::Broken | Step::Closed);
            world.take(step);
            // One message in, one message out at most: nobody is amplified.
            prop_assert!(waits || broken || world.bench.log.len() <= before + 1);
        }
        // The users of the layer do their part: they answer, and cancel what rings.
        for (id, request) in &world.served {
            world.bench.respond(*id, request, 480);
        }
        for id in &world.sent {
            world.bench.layer.cancel_timeout(world.bench.now, *id);
        }
        let quiet = world.bench.now.as_micros() / 1_000 + 64 * 500;
        world.bench.until(quiet + 5_000);
        prop_assert_eq!(world.bench.layer.pending(), (0, 0));
        prop_assert_eq!(world.bench.layer.next_timeout(), None);
        prop_assert!(world.bench.layer.is_empty());
    }

    #[test]
    fn the_same_steps_give_the_same_actions(steps in prop::collection::vec(step(), 1..40)) {
        let run = || {
            let mut world = World { bench: Bench::new(), sent: Vec::new(), served: Vec::new() };
            steps.iter().for_each(|step| world.take(step.clone()));
            world.bench.log
        };
        prop_assert_eq!(run(), run());
    }
}
