//! Two parties that talk to each other through descriptions, and what has to hold then.

mod answers;
mod checks;
mod failures;
mod holds;
mod offers;
mod places;
mod sequences;
mod sessions;

use midcall_wire::sdp::{Direction, Sdp};

use super::{
    Codec, Local, Offerer, Stream, Unacceptable, Wanted, agreed_by, answer, check_answer, check_next,
    check_offer, check_overlap, full_offer, offer,
};

/// One side of a session and what it remembers of it.
#[derive(Clone, Debug)]
struct Party {
    wanted: Wanted,
    last_sent: Option<Sdp>,
    agreed: Option<(Sdp, Sdp)>,
}

impl Party {
    fn new(host: u8, streams: impl IntoIterator<Item = Stream>) -> Self {
        let mut wanted = Wanted::new([192, 0, 2, host].into(), u64::from(host) * 1000);
        wanted.streams.extend(streams);
        Self { wanted, last_sent: None, agreed: None }
    }

    fn local(&self) -> Local<'_> {
        Local {
            last_sent: self.last_sent.as_ref(),
            agreed: self.agreed.as_ref().map(|(ours, theirs)| (ours, theirs)),
        }
    }

    /// The number of lines the last completed exchange had.
    fn lines(&self) -> usize {
        self.agreed.as_ref().map_or(0, |(ours, _)| ours.media_count())
    }

    /// Sends a description, after looking at it as a strict peer would.
    fn send(&mut self, sdp: Sdp) -> Sdp {
        assert_eq!(Sdp::parse(sdp.as_bytes()).as_ref(), Ok(&sdp), "what is written can be read");
        if let Some(last) = &self.last_sent {
            let faults = check_next(last, self.lines(), &sdp);
            assert!(faults.is_empty(), "{faults:?}\nafter\n{last}\ncame\n{sdp}");
        }
        self.last_sent = Some(sdp.clone());
        sdp
    }

    fn offer(&mut self) -> Sdp {
        let sdp = offer(&self.wanted, self.local());
        self.look(&sdp);
        self.send(sdp)
    }

    fn full_offer(&mut self) -> Sdp {
        let sdp = full_offer(&self.wanted, self.local());
        self.look(&sdp);
        if let Some((ours, theirs)) = &self.agreed {
            assert_eq!(check_overlap(ours, theirs, &sdp), [], "after\n{ours}\ncame\n{sdp}");
        }
        self.send(sdp)
    }

    /// Looks at an offer after the last description.
    fn look(&self, sdp: &Sdp) {
        let faults = self.last_sent.as_ref().map(|last| check_offer(last, sdp)).unwrap_or_default();
        assert_eq!(faults, [], "came\n{sdp}");
    }

    /// Answers an offer and takes the session as agreed.
    fn answer(&mut self, offered: &Sdp) -> Result<Sdp, Unacceptable> {
        let sdp = answer(&self.wanted, offered, self.local())?;
        let faults = check_answer(offered, &sdp);
        assert!(faults.is_empty(), "{faults:?}\nto\n{offered}\ncame\n{sdp}");
        let sdp = self.send(sdp);
        self.agreed = Some((sdp.clone(), offered.clone()));
        Ok(sdp)
    }

    fn settle(&mut self, ours: &Sdp, theirs: &Sdp) {
        self.agreed = Some((ours.clone(), theirs.clone()));
    }

    fn direction(&self, stream: usize) -> Direction {
        self.agreed.as_ref().unwrap().0.media_at(stream).unwrap().direction()
    }
}

/// One completed exchange: offer and answer.
fn exchange(from: &mut Party, to: &mut Party) -> (Sdp, Sdp) {
    let offered = from.offer();
    let answered = to.answer(&offered).unwrap();
    from.settle(&offered, &answered);
    (offered, answered)
}

/// The same after an offerless request of `to`.
fn exchange_asked(from: &mut Party, to: &mut Party) -> (Sdp, Sdp) {
    let offered = from.full_offer();
    let answered = to.answer(&offered).unwrap();
    from.settle(&offered, &answered);
    (offered, answered)
}

fn audio(port: u16) -> Stream {
    Stream::audio(port, [Codec::pcma(), Codec::pcmu(), Codec::telephone_event()])
}

fn video(port: u16) -> Stream {
    Stream::video(port, [Codec::new("H264", 90_000).numbered(97).with_fmtp("packetization-mode=1")])
}

/// Two parties with one audio stream each.
fn pair() -> (Party, Party) {
    (Party::new(1, [audio(4000)]), Party::new(2, [audio(5000)]))
}

/// The two in a call.
fn call() -> (Party, Party) {
    let (mut alice, mut bob) = pair();
    exchange(&mut alice, &mut bob);
    (alice, bob)
}

fn version(sdp: &Sdp) -> u64 {
    sdp.version().unwrap().as_str().parse().unwrap()
}

/// The `m=` lines.
fn lines(sdp: &Sdp) -> Vec<&str> {
    sdp.media().map(|media| media.line()).collect()
}

/// A description by a peer, from its `m=` lines and what follows them.
fn peer(media: &str) -> Sdp {
    let head = "v=0\r\no=peer 5 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n";
    Sdp::parse(format!("{head}{}", media.replace('\n', "\r\n")).as_bytes()).unwrap()
}
