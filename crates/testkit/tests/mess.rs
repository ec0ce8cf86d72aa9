//! A peer that sends anything at any time: the endpoint never panics, and answers every request that it can read.

use midcall_proto::rng::Rng;
use midcall_testkit::prelude::*;
use midcall_testkit::raw::Raw;
use midcall_testkit::sketch::Tweak;

const METHODS: [&str; 12] = [
    "INVITE",
    "UPDATE",
    "BYE",
    "PRACK",
    "REFER",
    "NOTIFY",
    "INFO",
    "OPTIONS",
    "SUBSCRIBE",
    "MESSAGE",
    "CANCEL",
    "WHAT",
];
const STATUSES: [u16; 14] = [100, 180, 183, 199, 200, 202, 302, 401, 404, 422, 481, 488, 491, 500];
const TWEAKS: [&str; 9] =
    ["sendonly", "inactive", "+video", "-video", "none", "drop=audio", "codecs=96", "c=0.0.0.0", "port=0"];

struct Mess {
    rng: Rng,
    seat: Seat,
    asked: Vec<Raw>,
}

impl Mess {
    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.below(list.len() as u64) as usize]
    }

    fn request(&mut self) {
        let method = self.one_of(&METHODS);
        let (offer, twist, tweak) = (self.rng.below(3), self.rng.below(12), self.one_of(&TWEAKS));
        let tweaks = [Tweak::parse(tweak).unwrap()];
        let mut draft = self.seat.peer.request(method);
        draft = match offer {
            0 => draft.offer(&[]),
            1 => draft.offer(&tweaks),
            _ => draft,
        };
        let number = draft.raw().cseq();
        draft = match twist {
            0 => draft.cseq(number.saturating_sub(2)),
            1 => draft.cseq(number + 7),
            2 => draft.tag("To", None),
            3 => draft.without("Contact"),
            4 => draft.header("Require", "100rel, nothing"),
            5 => draft.header("RAck", "1 1 INVITE"),
            6 => draft.header("Session-Expires", "20"),
            7 => draft.header("Replaces", "a;to-tag=b;from-tag=c"),
            8 => draft.header("Content-Type", "text/plain"),
            _ => draft,
        };
        let ua = self.seat.ua.address();
        self.asked.push(draft.to(ua).send());
    }

    fn reply(&mut self) {
        let ua = self.seat.ua.address();
        let Some(request) = self.seat.peer.open_request(ua, None) else { return };
        let (status, offer, tweak) = (self.one_of(&STATUSES), self.rng.below(4), self.one_of(&TWEAKS));
        let draft = self.seat.peer.reply(&request, status);
        let draft = match offer {
            0 => draft.answer(&[]),
            1 => draft.answer(&[Tweak::parse(tweak).unwrap()]),
            2 => draft.reliable().tag("To", Some("other")),
            _ => draft,
        };
        draft.send();
    }

    fn acknowledge(&mut self) {
        if let Some(response) = self.seat.peer.newest_response(false) {
            let ua = self.seat.ua.address();
            self.seat.peer.ack(&response.raw).to(ua).send();
        }
    }

    fn act(&mut self) {
        let call = self.seat.ua.last_call();
        let verb = self.rng.below(6);
        let (target, session) = (self.seat.other.uri(), self.seat.ua.session.clone());
        let _ = self.seat.ua.call(call).attempt(|call, now| match verb {
            0 => call.hold(now).map(drop),
            1 => call.resume(now).map(drop),
            2 => call.refresh(now).map(drop),
            3 => call.transfer(now, &target),
            4 => call.accept(now, Some(session)),
            _ => call.ring(now),
        });
    }
}

fn mess(seed: u64) {
    let mut mess =
        Mess { rng: Rng::new(seed), seat: Seat::new(Seed(seed)).latency(ms(10)), asked: Vec::new() };
    mess.seat.unobserved("the peer breaks rules at random");
    match mess.rng.below(3) {
        0 => drop(mess.seat.placed_call()),
        1 => drop(mess.seat.answered_call()),
        _ => {
            let to = mess.seat.peer.uri();
            mess.seat.ua.invite(&to);
            mess.seat.expect("INVITE");
        }
    }
    for _ in 0..25 {
        match mess.rng.below(10) {
            0..4 if mess.seat.peer.leg().is_some() => mess.request(),
            4..7 => mess.reply(),
            7 => mess.acknowledge(),
            _ => mess.act(),
        }
        let pause = mess.one_of(&[0, 5, 30, 200, 900, 3_000]);
        mess.seat.run_for(ms(pause));
    }
    mess.seat.run_for(secs(1));
    let calls: Vec<_> = mess.seat.ua.endpoint().calls().collect();
    for call in calls {
        let _ = mess.seat.ua.call(call).attempt(|call, now| call.hang_up(now));
    }
    mess.seat.run_for(secs(150));
    for request in mess.asked.iter().filter(|request| request.method() != "CANCEL") {
        let answered =
            mess.seat.peer.inbox().iter().any(|got| {
                got.status().is_some_and(|status| status >= 200) && got.branch() == request.branch()
            });
        assert!(answered, "seed {seed}: {} {} has no final response", request.method(), request.cseq());
    }
}

#[test]
fn every_request_is_answered_whatever_comes() {
    for seed in 0..100 {
        mess(seed);
    }
}
