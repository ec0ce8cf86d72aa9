//! One call, from its first event to its last, with the script that steers it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midcall::media::{MediaEvent, MediaSession};
use midcall::{Call, CallEvent, Error, IncomingCall, Listen, Modification, Prefer, Transport};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, watch};
use tokio::time::{self, Instant};

use super::story::{Outcome, Story};
use super::{Stage, endings};
use crate::events::{Told, number};
use crate::script::{Change, Expectation, Script, Step, Verb};
use crate::trouble::Trouble;

/// A call with its story. Clones are about the same call.
#[derive(Clone)]
pub(super) struct Run {
    stage: Stage,
    call: Call,
    /// The INVITE, while it has no answer.
    incoming: Arc<Mutex<Option<IncomingCall>>>,
    /// The call beside this one that `consult` began.
    other: Arc<Mutex<Option<Self>>>,
    peer: String,
    number: u32,
    story: watch::Sender<Story>,
}

/// Which side of the call we are.
pub(super) enum Seat {
    Caller(Call),
    Callee(Box<IncomingCall>),
}

impl Seat {
    pub(super) fn callee(incoming: IncomingCall) -> Self {
        Self::Callee(Box::new(incoming))
    }
}

/// What keeps a script from going on.
#[derive(Debug)]
struct Fault {
    what: String,
    why: String,
    cure: String,
}

impl Fault {
    fn new(step: &Step, why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: format!("`{}` failed", step.text), why: why.into(), cure: cure.into() }
    }
}

impl Run {
    /// Begins to listen to the call.
    pub(super) fn new(stage: Stage, seat: Seat, peer: String) -> Self {
        let (call, incoming) = match seat {
            Seat::Caller(call) => (call, None),
            Seat::Callee(incoming) => (incoming.call().clone(), Some(*incoming)),
        };
        let number = number(call.id());
        let incoming = Arc::new(Mutex::new(incoming));
        let (other, story) = (Arc::default(), watch::Sender::new(Story::default()));
        let run = Self { stage, call, incoming, other, peer, number, story };
        tokio::spawn(run.clone().follow());
        run
    }

    pub(super) fn is_over(&self) -> bool {
        self.story.borrow().ended().is_some()
    }

    /// Tells of the INVITE that began it.
    pub(super) fn tell_incoming(&self) {
        let Ok(incoming) = self.incoming.try_lock() else { return };
        let Some(incoming) = incoming.as_ref() else { return };
        let event = CallEvent::Incoming(incoming.details().clone());
        let mut told = Told::of(&event, |_| Duration::ZERO);
        if let Told::Incoming { call_id, .. } = &mut told {
            self.call.call_id().clone_into(call_id);
        }
        self.tell(&told);
    }

    fn tell(&self, told: &Told) {
        self.stage.teller.tell(Some(self.number), told);
    }

    /// Tells and notes what happens, until the call is over.
    async fn follow(self) {
        let mut events = self.call.events();
        let mut heard = None;
        while let Some(event) = events.next().await {
            if let (CallEvent::Session { .. }, None, Some(media)) = (&event, &heard, self.call.media()) {
                heard = Some(media.clone());
                tokio::spawn(self.clone().follow_media(media));
            }
            if let CallEvent::Referred { to, decide: false, .. } = &event {
                self.stage.targets.lock().await.push_back(to.clone());
            }
            self.tell(&Told::of(&event, |at| self.stage.ua.until(at)));
            let over = matches!(event, CallEvent::Ended { .. });
            if over && let Some(media) = &heard {
                self.tell(&Told::of_stats(&media.stats().await));
            }
            self.story.send_modify(|story| story.event(&event));
            if over {
                return;
            }
        }
    }

    async fn follow_media(self, media: MediaSession) {
        let mut events = media.events();
        loop {
            match events.recv().await {
                Ok(MediaEvent::Bye) | Err(RecvError::Lagged(_)) => {}
                Ok(event) => {
                    self.tell(&Told::of_media(&event));
                    match event {
                        MediaEvent::Digit { digit, .. } => self.story.send_modify(|story| story.digit(digit)),
                        MediaEvent::Played => self.story.send_modify(Story::played),
                        _ => {}
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Waits until the call is over.
    pub(super) async fn listen(&self) {
        // An error is impossible while this very run holds the sender.
        let _ = self.story.subscribe().wait_for(|story| story.ended().is_some()).await;
    }

    /// Does what the script says; without one, answers if there is something to answer, and follows what comes.
    pub(super) async fn perform(self, script: Option<&Script>) -> Result<(), Trouble> {
        let fault = match script {
            Some(script) => {
                let fault = self.play(script).await.err();
                if fault.is_none() {
                    self.settle().await;
                }
                fault
            }
            None => {
                let fault = self.welcome().await.err();
                if fault.is_none() {
                    self.listen().await;
                }
                fault
            }
        };
        self.leave().await;
        let other = self.other.lock().await.take();
        self.judge(fault).and_then(|()| other.map_or(Ok(()), |other| other.judge(None)))
    }

    /// Rings and answers.
    async fn welcome(&self) -> Result<(), Fault> {
        if self.incoming.lock().await.is_none() {
            return Ok(());
        }
        for verb in [Verb::Ring(Duration::ZERO), Verb::Answer] {
            let text = if verb == Verb::Answer { "answer" } else { "ring" };
            self.step(&Step { text: text.to_owned(), verb }, 0).await?;
        }
        Ok(())
    }

    async fn play(&self, script: &Script) -> Result<(), Fault> {
        for (nth, step) in script.steps.iter().enumerate() {
            self.tell(&Told::Step { n: nth + 1, text: step.text.clone() });
            self.step(step, nth + 1).await?;
        }
        Ok(())
    }

    /// Takes a line of the prompt. What goes wrong is told, and the call goes on.
    pub(super) async fn order(&self, script: &Script) {
        if let Err(fault) = self.play(script).await {
            self.tell(&Told::Failed { what: format!("{}: {}", fault.what, fault.why) });
        }
    }

    async fn step(&self, step: &Step, nth: usize) -> Result<(), Fault> {
        let failed = |error: Error| Fault::new(step, error.to_string(), "");
        match &step.verb {
            Verb::Ring(time) => {
                let waiting = self.incoming.lock().await;
                waiting.as_ref().ok_or_else(|| no_invite(step))?.ring().await.map_err(failed)?;
                drop(waiting);
                time::sleep(*time).await;
            }
            Verb::Early => {
                let mut waiting = self.incoming.lock().await;
                waiting.as_mut().ok_or_else(|| no_invite(step))?.early().await.map_err(failed)?;
            }
            Verb::Answer => {
                let waiting = self.incoming.lock().await.take().ok_or_else(|| no_invite(step))?;
                waiting.accept().await.map_err(failed)?;
            }
            Verb::Refuse(status) => match self.incoming.lock().await.take() {
                Some(waiting) => waiting.refuse(status.unwrap_or(DECLINED)).await.map_err(failed)?,
                None => {
                    let refused = self.call.refuse_offer(status.unwrap_or(NOT_ACCEPTABLE)).await;
                    refused.map_err(|_| no_offer(step))?;
                }
            },
            Verb::Decide(take) => self.call.answer_offer(*take).await.map_err(|_| no_offer(step))?,
            Verb::Wait(time) => time::sleep(*time).await,
            Verb::Change(change, via) => self.change(step, change, *via).await?,
            Verb::InBranch(change, tag) => self.change_branch(step, change, tag).await?,
            Verb::Contact(place, lost) => self.contact(step, *place, *lost).await?,
            Verb::Transfer(uri) => self.transfer(step, uri).await,
            Verb::Consult(uri) => self.consult(step, uri).await?,
            Verb::Other(verb) => {
                let other = self.other(step).await?;
                let step = Step { text: step.text.clone(), verb: (**verb).clone() };
                // A verb for another call never names a third.
                Box::pin(other.step(&step, nth)).await?;
            }
            Verb::TransferToOther => {
                let (call, other) = (self.call.clone(), self.other(step).await?.call);
                self.ask(step, async move { Outcome::from(&call.transfer_to_call(&other).await) }).await;
            }
            Verb::Dtmf(digits) => {
                let cure =
                    "wait until the call is up and not on hold; the other side must take telephone-event";
                self.call.dtmf(digits).await.map_err(|error| Fault::new(step, error.to_string(), cure))?;
            }
            Verb::Cancel if !self.is_over() => {
                let cancelled = self.call.cancel().await.map_err(failed)?;
                if !cancelled {
                    return Err(Fault::new(
                        step,
                        "nothing is under way that could be cancelled",
                        "use `bye` to end the call",
                    ));
                }
            }
            // Being rid of the call is what was asked for.
            Verb::Cancel => {}
            Verb::Bye => self.hang_up().await,
            Verb::Expect { what, within } => {
                self.expect(step, what, *within).await?;
                self.tell(&Told::Met { n: nth, text: step.text.clone() });
            }
        }
        Ok(())
    }

    /// Begins a change and goes on; its outcome is noted in the story.
    async fn change(&self, step: &Step, change: &Change, via: Option<Prefer>) -> Result<(), Fault> {
        let call = &self.call;
        let request = match change {
            Change::Hold => call.hold(),
            Change::Resume => call.resume(),
            Change::Codecs(codecs) => call.codecs(codecs.iter().cloned()),
            Change::Update => call.change(Modification::Target).via(Prefer::Update),
            Change::Reinvite => call.repeat().via(Prefer::ReInvite),
            Change::Offerless => call.offerless(),
            Change::Refresh => call.refresh(),
            Change::AddVideo => call.add_video(),
            Change::DropVideo => call.drop_video(),
            Change::Move(to) => call.move_media_to(0, *to),
        };
        let request = match via {
            Some(prefer) => request.via(prefer),
            None => request,
        };
        if let Some(why) = self.over() {
            return Err(Fault::new(step, why, "do it while the call is up"));
        }
        self.ask(step, async move { Outcome::from(&request.await) }).await;
        Ok(())
    }

    /// Begins a change in one place where the call rings.
    async fn change_branch(&self, step: &Step, change: &Change, tag: &str) -> Result<(), Fault> {
        let modification = match change {
            Change::Hold => Modification::Hold(None),
            Change::Resume => Modification::Resume(None),
            Change::Codecs(codecs) => Modification::Codecs(codecs.clone()),
            _ => return Err(Fault::new(step, "only hold, resume and codec change one branch", "")),
        };
        let request = self.call.modify_branch(tag, modification);
        self.ask(step, async move { Outcome::from(&request.await) }).await;
        Ok(())
    }

    /// Listens elsewhere, and begins to tell the other side.
    async fn contact(&self, step: &Step, place: SocketAddr, lost: bool) -> Result<(), Fault> {
        let transport = self.stage.ua.local().first().map_or(Transport::Udp, |(transport, _)| *transport);
        let to = Listen { transport, address: place };
        let cure = "give an address of this machine and a port that nobody uses; 0 takes any";
        let moved = self.stage.ua.move_to(&to.to_string(), lost).await;
        moved.map_err(|error| Fault::new(step, error.to_string(), cure))?;
        let request = self.call.tell_contact(lost);
        self.ask(step, async move { Outcome::from(&request.await) }).await;
        Ok(())
    }

    /// Calls somebody beside this call.
    async fn consult(&self, step: &Step, uri: &str) -> Result<(), Fault> {
        let mut other = self.other.lock().await;
        if other.as_ref().is_some_and(|other| !other.is_over()) {
            return Err(Fault::new(
                step,
                "there is another call beside this one already",
                "end it with `other bye`",
            ));
        }
        let invite = self.stage.ua.invite(uri).media((*self.stage.beside).clone());
        let call = invite.await.map_err(|error| Fault::new(step, error.to_string(), ""))?;
        let calling = Told::Calling { to: uri.to_owned(), call_id: call.call_id().to_owned() };
        self.stage.teller.tell(Some(number(call.id())), &calling);
        *other = Some(Self::new(self.stage.clone(), Seat::Caller(call), uri.to_owned()));
        Ok(())
    }

    async fn other(&self, step: &Step) -> Result<Self, Fault> {
        let other = self.other.lock().await.clone();
        other.ok_or_else(|| Fault::new(step, "there is no other call", "begin one with `consult URI`"))
    }

    async fn transfer(&self, step: &Step, uri: &str) {
        let (call, uri) = (self.call.clone(), uri.to_owned());
        self.ask(step, async move { Outcome::from(&call.transfer_to(&uri).await) }).await;
    }

    async fn ask(&self, step: &Step, asked: impl Future<Output = Outcome> + Send + 'static) {
        let mut nth = 0;
        self.story.send_modify(|story| nth = story.asks(&step.text));
        let story = self.story.clone();
        tokio::spawn(async move {
            let outcome = asked.await;
            story.send_modify(|story| story.answered(nth, outcome));
        });
        // Verbs reach the call in the order of the script: this one is on its way before the next begins.
        tokio::task::yield_now().await;
    }

    fn over(&self) -> Option<String> {
        self.story.borrow().ended().map(|why| format!("the call is over: {}", midcall::describe(why)))
    }

    async fn expect(&self, step: &Step, what: &Expectation, within: Duration) -> Result<(), Fault> {
        let late = || {
            Fault::new(
                step,
                format!("not within {} s", within.as_secs_f64()),
                "give it longer with `within`, or look at the events above",
            )
        };
        let met = match what {
            Expectation::Media => time::timeout(within, self.media_flows(true)).await,
            Expectation::Silence => time::timeout(within, self.media_flows(false)).await,
            _ => time::timeout(within, self.told(what)).await,
        };
        match met {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Fault::new(step, why, "")),
            Err(_) => Err(late()),
        }
    }

    /// Waits until the story meets an expectation, or cannot any more.
    async fn told(&self, what: &Expectation) -> Result<(), String> {
        let mut story = self.story.subscribe();
        loop {
            let mut met = None;
            story.borrow_and_update();
            self.story.send_if_modified(|story| {
                met = story.meets(what);
                false
            });
            match met {
                Some(met) => return met,
                // An error is impossible while this very run holds the sender.
                None => {
                    let _ = story.changed().await;
                }
            }
        }
    }

    /// Waits until RTP arrives, or until none has arrived for half a second.
    async fn media_flows(&self, wanted: bool) -> Result<(), String> {
        let mut last: Option<(u64, Instant)> = None;
        loop {
            if let Some(why) = self.over() {
                return Err(why);
            }
            let packets = match self.call.media() {
                Some(media) => media.stats().await.packets_received(),
                None => 0,
            };
            match last {
                Some((before, _)) if packets > before && wanted => return Ok(()),
                Some((before, since)) if packets == before && !wanted && since.elapsed() >= QUIET => {
                    return Ok(());
                }
                Some((before, _)) if packets == before => {}
                _ => last = Some((packets, Instant::now())),
            }
            time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn hang_up(&self) {
        if self.is_over() {
            return;
        }
        // The callee's BYE may have to wait for the ACK (RFC 3261 §15). Failing means that it is over already.
        let _ = time::timeout(PARTING, self.call.hang_up()).await;
    }

    /// Lets what is under way come to its end.
    async fn settle(&self) {
        if let Some(other) = self.other.lock().await.clone() {
            Box::pin(other.settle()).await;
        }
        let mut story = self.story.subscribe();
        let _ = time::timeout(PATIENCE, story.wait_for(|story| !story.pending())).await;
    }

    /// Hangs up, and waits until the end has been told.
    async fn leave(&self) {
        if let Some(other) = self.other.lock().await.clone() {
            Box::pin(other.leave()).await;
        }
        if let Some(incoming) = self.incoming.lock().await.take() {
            drop(incoming);
        } else {
            self.hang_up().await;
        }
        if self.call.state().ended().is_some() {
            let _ = time::timeout(PARTING, self.listen()).await;
            self.settle().await;
        }
    }

    fn judge(&self, fault: Option<Fault>) -> Result<(), Trouble> {
        let story = self.story.borrow();
        let ending = story.ended().filter(|_| !story.end_expected());
        let ending = ending
            .and_then(|why| endings::trouble(why, story.established(), &self.peer, self.stage.credentials));
        match (fault, ending) {
            // Why the call ended is the better explanation of an expectation that was not met.
            (Some(fault), Some(ending)) => {
                Err(Trouble { what: format!("{}: {}", fault.what, ending.what), ..ending })
            }
            (Some(fault), None) => Err(Trouble::failed(fault.what, fault.why, fault.cure)),
            (None, Some(ending)) => Err(ending),
            (None, None) => match story.failure() {
                Some(what) => Err(Trouble::failed(
                    what,
                    "the session is as it was before",
                    "if that is what you want to see, say so: `expect refused` behind the verb",
                )),
                None => Ok(()),
            },
        }
    }
}

fn no_invite(step: &Step) -> Fault {
    Fault::new(
        step,
        "no INVITE waits for an answer",
        "use it once, in `midcall answer`, before the call is answered or over",
    )
}

fn no_offer(step: &Step) -> Fault {
    Fault::new(
        step,
        "no INVITE and no offer waits for an answer",
        "say `expect offered` before it, and start with `--new-streams ask`; use it once for each offer",
    )
}

const DECLINED: u16 = 603;
const NOT_ACCEPTABLE: u16 = 488;
/// How long changes may take at the end of a script.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a call may take.
const PARTING: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
