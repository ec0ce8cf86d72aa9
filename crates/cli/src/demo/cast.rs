//! The three agents, on loopback, with one tap between them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use midcall::capture::Capture;
use midcall::media::{MediaSession, Source};
use midcall::session::Codec;
use midcall::tap::Tap;
use midcall::{MediaSetup, Transport, UserAgent};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ladder::Ladder;
use super::narrator::{self, Note};
use crate::agent::cannot_write;
use crate::trouble::Trouble;

/// Who plays.
pub(super) struct Cast {
    pub(super) alice: UserAgent,
    pub(super) bob: UserAgent,
    pub(super) carol: UserAgent,
    notes: mpsc::UnboundedSender<Note>,
    narrator: Mutex<Option<JoinHandle<()>>>,
}

impl Cast {
    /// Starts the agents and the narrator.
    pub(super) async fn meet(path: &Path) -> Result<Self, Trouble> {
        let capture =
            Capture::create(path).map_err(|error| cannot_write(&path.display().to_string(), &error))?;
        // Every message and packet once: as it is sent.
        let tap = Tap::to_capture(capture, true).with_listeners(SEEN).sent_only();
        let heard = tap.listen();
        let alice = agent("alice", 440, &tap).await?;
        let bob = agent("bob", 550, &tap).await?;
        let carol = agent("carol", 660, &tap).await?;
        let (notes, told) = mpsc::unbounded_channel();
        let agents = [("alice", &alice), ("bob", &bob), ("carol", &carol)];
        let ladder = Ladder::new(agents.map(|(name, agent)| (name, address(agent))).to_vec());
        let narrator = tokio::spawn(narrator::narrate(ladder, heard, told, SystemTime::now()));
        Ok(Self { alice, bob, carol, notes, narrator: Mutex::new(Some(narrator)) })
    }

    /// SIP addresses of alice, bob and carol.
    pub(super) fn addresses(&self) -> [SocketAddr; 3] {
        [address(&self.alice), address(&self.bob), address(&self.carol)]
    }

    /// Says what comes next.
    pub(super) fn say(&self, text: &str) {
        self.note(Note::Act(text.to_owned()));
    }

    /// Watches the audio that comes in here, from the agent in one column to the one in another.
    pub(super) fn listen_in(&self, from: usize, to: usize, media: Option<MediaSession>) {
        if let Some(media) = media {
            self.note(Note::Watch { from, to, media });
        }
    }

    fn note(&self, note: Note) {
        // The narrator ends after everybody else.
        let _ = self.notes.send(note);
    }

    /// Everybody goes home; the capture is complete afterwards.
    pub(super) async fn leave(self) {
        let Self { alice, bob, carol, notes, narrator } = self;
        tokio::join!(alice.shut_down(), bob.shut_down(), carol.shut_down());
        drop(notes);
        let narrator = narrator.into_inner().ok().flatten();
        if let Some(narrator) = narrator {
            // It has said all there was to say.
            let _ = narrator.await;
        }
    }
}

async fn agent(name: &str, hertz: u16, tap: &Tap) -> Result<UserAgent, Trouble> {
    let lacking = |error: midcall::Error| {
        Trouble::not_started(
            "cannot listen on 127.0.0.1",
            error.to_string(),
            "the demo needs UDP on loopback",
        )
    };
    let codecs = [Codec::pcmu(), Codec::pcma(), Codec::telephone_event()];
    let media = MediaSetup::default().codecs(codecs).source(Source::Tone { hertz });
    UserAgent::builder()
        .listen("udp:127.0.0.1:0")
        .map_err(lacking)?
        .identity(&format!("sip:{name}@127.0.0.1"))
        .media(media)
        .tap(tap.clone())
        .configure(|config| config.session_expires = Some(1_800))
        .start()
        .await
        .map_err(lacking)
}

fn address(agent: &UserAgent) -> SocketAddr {
    agent.address(Transport::Udp).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
}

const SEEN: usize = 1_024;
