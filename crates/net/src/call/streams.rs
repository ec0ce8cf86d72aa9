//! The media sessions of a call, found by the port that the session description names.

use std::io;
use std::net::{IpAddr, SocketAddr};

use midcall_proto::session::{Agreed, AgreedStream, Stream, Wanted};

use super::setup::MediaSetup;
use crate::media::{MediaOptions, MediaPlan, MediaSession, MediaStats};
use crate::place::MediaPlace;

/// The media sessions of one call, in the order they were opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    sessions: Vec<MediaSession>,
}

impl Streams {
    /// Opens what a call begins with, and describes it: the application's own session, or one audio stream.
    pub(crate) async fn open(setup: &MediaSetup, place: &MediaPlace) -> io::Result<(Self, Wanted)> {
        if let Some(own) = &setup.own {
            return Ok((Self::default(), own.clone()));
        }
        let mut wanted = Wanted::new(place.announced, place.session_id());
        let audio = open_audio(setup, place).await?;
        wanted.add_stream(Stream::audio(audio.port(), setup.codecs.iter().cloned()));
        Ok((Self { sessions: vec![audio] }, wanted))
    }

    /// Takes a session that was opened for a further stream.
    pub(crate) fn add(&mut self, session: MediaSession) {
        self.sessions.push(session);
    }

    /// The sessions themselves.
    pub(crate) fn into_sessions(self) -> Vec<MediaSession> {
        self.sessions
    }

    /// The first session, which is that of the audio stream the call began with.
    pub(crate) fn first(&self) -> Option<&MediaSession> {
        self.sessions.first()
    }

    /// The session whose port a stream of ours names.
    pub(crate) fn of(&self, port: u16) -> Option<&MediaSession> {
        let newest = self.sessions.iter().find(|session| session.port() == port);
        newest.or_else(|| self.sessions.iter().find(|session| session.has_port(port)))
    }

    /// Makes every session do what was agreed on; those no stream names fall silent.
    pub(crate) async fn follow(&self, agreed: &Agreed) {
        let mut idle: Vec<&MediaSession> = self.sessions.iter().collect();
        for stream in &agreed.streams {
            let Some(session) = stream.local.as_ref().and_then(|(_, port)| self.of(*port)) else { continue };
            idle.retain(|other| !other.same(session));
            session.apply(MediaPlan::of(stream, remote(stream).await)).await;
        }
        for session in idle {
            session.apply(MediaPlan::off()).await;
        }
    }

    /// Says goodbye on all of them.
    pub(crate) async fn stop(&self) -> Vec<MediaStats> {
        let mut stats = Vec::with_capacity(self.sessions.len());
        for session in &self.sessions {
            stats.push(session.stop().await);
        }
        stats
    }
}

/// Opens a session for an audio stream.
pub(crate) async fn open_audio(setup: &MediaSetup, place: &MediaPlace) -> io::Result<MediaSession> {
    let session = open_session(setup, place).await?;
    if let Some(path) = &setup.record {
        session.record(path).await?;
    }
    Ok(session)
}

/// Opens a session for a video stream, and describes it. Nothing is sent on it but reports.
pub(crate) async fn open_video(setup: &MediaSetup, place: &MediaPlace) -> io::Result<(MediaSession, Stream)> {
    let session = open_session(setup, place).await?;
    let stream = Stream::video(session.port(), setup.video.iter().cloned());
    Ok((session, stream))
}

async fn open_session(setup: &MediaSetup, place: &MediaPlace) -> io::Result<MediaSession> {
    let options = MediaOptions::default()
        .source(setup.source.clone())
        .ports(place.ports.clone())
        .tap(place.tap.clone());
    MediaSession::open(place.bind, options).await
}

/// The address that a stream's connection line stands for. RFC 8866 §5.7 allows a name.
async fn remote(stream: &AgreedStream) -> Option<IpAddr> {
    let (host, port) = stream.remote.as_ref()?;
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let mut addresses = tokio::net::lookup_host((host.as_str(), *port)).await.ok()?;
    addresses.next().map(|address: SocketAddr| address.ip())
}
