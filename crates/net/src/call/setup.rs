//! What a call brings along: codecs and sound, or the application's own session.

use std::path::PathBuf;

use midcall_proto::session::{Codec, Wanted};

use crate::media::Source;

/// The media of a call.
///
/// ```
/// use midcall::media::Source;
/// use midcall::session::Codec;
/// use midcall::MediaSetup;
///
/// let setup = MediaSetup::default().codecs([Codec::pcma()]).source(Source::Echo);
/// # let _ = setup;
/// ```
#[derive(Clone, Debug)]
pub struct MediaSetup {
    pub(crate) codecs: Vec<Codec>,
    pub(crate) video: Vec<Codec>,
    pub(crate) source: Source,
    pub(crate) record: Option<PathBuf>,
    pub(crate) own: Option<Wanted>,
}

impl Default for MediaSetup {
    /// PCMA, PCMU and telephone events; silence is sent.
    fn default() -> Self {
        Self {
            codecs: vec![Codec::pcma(), Codec::pcmu(), Codec::telephone_event()],
            video: vec![Codec::new("VP8", 90_000).numbered(96), Codec::new("H264", 90_000).numbered(97)],
            source: Source::Silence,
            record: None,
            own: None,
        }
    }
}

impl MediaSetup {
    /// The application has its own media: exactly this session is offered and answered with, and no socket is opened.
    #[must_use]
    pub fn own(session: Wanted) -> Self {
        Self { own: Some(session), ..Self::default() }
    }

    /// Offers and takes these, best first. Formats that this crate cannot code may be listed, but then nothing is sent.
    #[must_use]
    pub fn codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        self.codecs = codecs.into_iter().collect();
        self
    }

    /// Offers and takes these on video streams, whose packets are counted, not shown.
    #[must_use]
    pub fn video_codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        self.video = codecs.into_iter().collect();
        self
    }

    /// Sends this.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Records what is heard in this WAV file.
    #[must_use]
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Some(path.into());
        self
    }
}
