//! The operations: what two applications and a third party do, and what happens to their packets.

use std::collections::BTreeSet;

use midcall_proto::endpoint::{Invite, Modification, Prefer};
use midcall_proto::event::{CallEvent, CallId, Event};
use midcall_proto::session::{Codec, Stream};

use super::Start;
use super::deeds::{Deed, Verb};
use crate::agent::{Agent, Call};
use crate::network::Pick;
use crate::pair::{Trio, incoming};
use crate::scene::Scene;
use crate::{ms, secs};

/// How carol takes calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answers,
    Refuses,
    Rings,
}

/// Alice and bob with their call, and carol.
pub(super) struct Stage {
    pub(super) trio: Trio,
    pub(super) call: Call,
    /// What alice and bob did in their call, in order.
    pub(super) deeds: Vec<Deed>,
    /// The transfers that alice and bob asked for: in their call, how often.
    pub(super) transfers: [u32; 2],
    /// The consultation calls of alice and bob.
    consultations: [Option<CallId>; 2],
    manner: Manner,
    /// Calls that came in at carol and were taken care of.
    attended: BTreeSet<CallId>,
    port: u16,
}

impl Stage {
    /// Alice calls bob, as far as the start says.
    pub(super) fn set(mut trio: Trio, start: Start) -> Self {
        let invite =
            Invite { late: start == Start::Late, ..Invite::new(&trio.b.uri(), trio.a.session.clone()) };
        let a = trio.a.invite_with(invite);
        trio.run_until(|trio| !incoming(&trio.b).is_empty());
        let b = incoming(&trio.b).first().copied().unwrap_or(CallId(0));
        let call = Call { ends: [(0, a), (1, b)] };
        let mut stage = Self {
            trio,
            call,
            deeds: Vec::new(),
            transfers: [0; 2],
            consultations: [None; 2],
            manner: Manner::Answers,
            attended: BTreeSet::new(),
            port: 50_000,
        };
        stage.begin(start);
        stage
    }

    fn begin(&mut self, start: Start) {
        match start {
            Start::Trying => return,
            Start::Early => {
                let session = self.trio.b.session.clone();
                self.trio.b.call(self.call).early(session);
            }
            _ => self.trio.b.call(self.call).ring(),
        }
        self.trio.settle();
        match start {
            Start::Up | Start::Late => {
                self.trio.b.call(self.call).accept();
                self.trio.settle();
            }
            Start::Answering => {
                self.trio.b.call(self.call).accept();
                self.ask(1, Modification::Hold(None), None);
                self.ask(0, Modification::Hold(None), None);
            }
            _ => {}
        }
    }

    fn side(&mut self, side: usize) -> &mut Agent {
        self.trio.agent_mut(side)
    }

    /// Plays one operation: five bits for the verb, one for the side, two for the amount.
    pub(super) fn play(&mut self, operation: u8) {
        let (verb, side, more) = (operation & 0x1f, usize::from(operation >> 5 & 1), operation >> 6);
        let codecs = || match more {
            0 => vec![Codec::pcmu()],
            1 => vec![Codec::pcma(), Codec::pcmu()],
            _ => vec![Codec::pcma(), Codec::telephone_event()],
        };
        match verb {
            0 | 1 => self.ask(side, Modification::Hold(None), None),
            2 | 3 => self.ask(side, Modification::Resume(None), None),
            4 => self.ask(side, Modification::Codecs(codecs()), None),
            5 => self.ask(side, Modification::Codecs(codecs()), Some(Prefer::Update)),
            6 => self.ask(side, Modification::Repeat, Some(Prefer::ReInvite)),
            7 => self.ask(side, Modification::Offerless, None),
            8 => self.ask(side, Modification::Refresh, None),
            9 => self.ask(side, Modification::Target, None),
            10 => self.move_media(side),
            11 => {
                let stream = Stream::video(self.fresh_port(), [Codec::new("VP8", 90_000).numbered(96)]);
                self.ask(side, Modification::Add(stream), None);
            }
            12 => self.answer_offer(side, more < 2),
            // Nothing may be in flight to cancel, and the call may be over: that is no fault of the application.
            13 => {
                if self.hand(side, |call, now| call.cancel_change(now)) == Some(true) {
                    self.note(side, Verb::Cancel);
                }
            }
            14 if more == 3 => {
                if self.hand(side, |call, now| call.hang_up(now)).is_some() {
                    self.note(side, Verb::HangUp);
                }
            }
            15 => self.transfer(side),
            16 => self.consult(side),
            17 => self.transfer_to_consultation(side),
            18 => self.answer(more),
            19 => {
                self.ask(0, Modification::Hold(None), None);
                self.ask(1, Modification::Hold(None), None);
            }
            20 => self.manner = [Manner::Answers, Manner::Refuses, Manner::Rings][usize::from(more) % 3],
            21 => self.trio.wire.drop_next(Pick::any()),
            22 => self.trio.wire.delay_next(Pick::any(), ms(u64::from(more) * 90)),
            23 => self.trio.wire.double_next(Pick::any()),
            24 => self.trio.run_for(ms(200 + u64::from(more) * 1_400)),
            25 => self.trio.run_for(secs(5 + u64::from(more) * 5)),
            _ => self.trio.run_for(ms(u64::from(more) * 20 + 1)),
        }
        self.attend();
    }

    /// Carol takes care of her new calls.
    pub(super) fn attend(&mut self) {
        for id in incoming(&self.trio.c) {
            if self.attended.insert(id) {
                let (manner, session) = (self.manner, self.trio.c.session.clone());
                // Whoever called may have given up.
                let _ = self.trio.c.call(id).attempt(|call, now| match manner {
                    Manner::Answers => call.accept(now, Some(session)),
                    Manner::Refuses => call.refuse(now, 486),
                    Manner::Rings => call.ring(now),
                });
            }
        }
    }

    /// Everything that still rings is answered.
    pub(super) fn answer_all(&mut self) {
        self.attend();
        for seat in 0..3 {
            let agent = self.trio.agent_mut(seat);
            for id in incoming(agent) {
                if agent.look(id).is_some_and(|call| !call.ended() && !call.is_up()) {
                    let session = agent.session.clone();
                    // It is answered already, and its ACK is on the way.
                    let _ = agent.call(id).attempt(|call, now| call.accept(now, Some(session)));
                }
            }
        }
    }

    /// Every caller that still hears it ringing gives up.
    pub(super) fn give_up_ringing(&mut self) {
        for seat in 0..3 {
            let agent = self.trio.agent_mut(seat);
            for id in known(agent) {
                if agent.look(id).is_some_and(|call| !call.ended() && !call.is_up()) {
                    let _ = agent.call(id).attempt(|call, now| call.hang_up(now));
                }
            }
        }
    }

    /// Every offer that waits for a person is taken, without its new streams.
    pub(super) fn decide(&mut self) {
        (0..2).for_each(|side| self.answer_offer(side, false));
    }

    /// Hangs up whatever is up; gives the Call-IDs of the calls that were up on both sides.
    pub(super) fn hang_up(&mut self) -> BTreeSet<String> {
        let mut hung_up = BTreeSet::new();
        for seat in 0..3 {
            let agent = self.trio.agent_mut(seat);
            for id in known(agent) {
                let up = agent.look(id).filter(|call| !call.ended()).map(|call| call.call_id().to_owned());
                if let Some(call_id) = up
                    && hung_up.insert(call_id)
                {
                    let _ = agent.call(id).attempt(|call, now| call.hang_up(now));
                }
            }
        }
        hung_up
    }

    fn hand<R>(
        &mut self,
        side: usize,
        verb: impl FnOnce(
            &mut midcall_proto::endpoint::CallMut<'_>,
            midcall_proto::time::Instant,
        ) -> Result<R, midcall_proto::endpoint::Refused>,
    ) -> Option<R> {
        let call = self.call;
        self.side(side).call(call).attempt(verb).ok()
    }

    fn ask(&mut self, side: usize, change: Modification, prefer: Option<Prefer>) {
        let what = change.what();
        if let Some(ticket) = self.hand(side, |call, now| call.modify(now, change, prefer)) {
            self.note(side, Verb::Ask(ticket, what));
        }
    }

    fn note(&mut self, side: usize, verb: Verb) {
        let at = self.trio.now();
        self.deeds.push(Deed { at, side, verb });
    }

    fn fresh_port(&mut self) -> u16 {
        self.port += 2;
        self.port
    }

    fn move_media(&mut self, side: usize) {
        let (address, port) = (self.side(side).address().ip(), self.fresh_port());
        self.ask(side, Modification::Move { stream: 0, address, port }, None);
    }

    fn answer_offer(&mut self, side: usize, take: bool) {
        let (call, port) = (self.call, self.fresh_port());
        let wanted = self.side(side).look(call).and_then(|call| call.wanted().cloned()).filter(|_| take);
        let session = wanted.map(|mut wanted| {
            wanted.add_stream(Stream::video(port, [Codec::new("VP8", 90_000).numbered(96)]));
            wanted
        });
        // No offer may wait.
        let _ = self.hand(side, |call, now| call.answer_offer(now, session));
    }

    fn transfer(&mut self, side: usize) {
        let carol = self.trio.c.uri();
        if self.hand(side, |call, now| call.transfer(now, &carol)).is_some() {
            self.note_transfer(side);
        }
    }

    fn consult(&mut self, side: usize) {
        let carol = self.trio.c.uri();
        if self.consultations.get(side).is_some_and(Option::is_none) {
            let call = self.side(side).invite(&carol);
            if let Some(consultation) = self.consultations.get_mut(side) {
                *consultation = Some(call);
            }
        }
    }

    fn transfer_to_consultation(&mut self, side: usize) {
        let Some(other) = self.consultations.get(side).copied().flatten() else { return };
        if self.hand(side, |call, now| call.transfer_to_call(now, other)).is_some() {
            self.note_transfer(side);
        }
    }

    fn note_transfer(&mut self, side: usize) {
        if let Some(count) = self.transfers.get_mut(side) {
            *count += 1;
        }
        self.note(side, Verb::Transfer);
    }

    /// Bob's word on the INVITE, while it has no final answer.
    fn answer(&mut self, more: u8) {
        let session = self.trio.b.session.clone();
        let _ = self.hand(1, |call, now| match more {
            0 => call.ring(now),
            1 => call.early(now, session),
            _ => call.accept(now, Some(session)),
        });
    }
}

/// Every call that an agent told of.
pub(super) fn known(agent: &Agent) -> BTreeSet<CallId> {
    let told = agent.events().iter().filter_map(|(_, event)| match event {
        Event::Call { call, .. } => Some(*call),
        _ => None,
    });
    told.chain(agent.endpoint().calls()).collect()
}

/// How often an agent was told the last word of a transfer in this call, and how often it had worked.
pub(super) fn last_words(agent: &Agent, call: Call) -> (u32, u32) {
    let words = agent.told(call).filter_map(|event| match event {
        CallEvent::Transfer { status, done: true } => Some(*status),
        _ => None,
    });
    words.fold((0, 0), |(all, good), status| (all + 1, good + u32::from((200..300).contains(&status))))
}
