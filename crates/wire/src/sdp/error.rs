//! Why a body could not be taken as a session description.

use std::fmt;

/// How much of a description is looked at before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpLimits {
    /// The longest description, in bytes.
    pub bytes: usize,
    /// The most `m=` lines.
    pub media: usize,
    /// The most formats on one `m=` line.
    pub formats: usize,
}

impl Default for SdpLimits {
    fn default() -> Self {
        Self { bytes: 65_535, media: 128, formats: 256 }
    }
}

/// A body that is not a usable session description: where it went wrong, and how.
///
/// ```
/// use midcall_wire::sdp::{Sdp, SdpProblem};
///
/// let error = Sdp::parse(b"v=0\r\nm=audio none RTP/AVP 0\r\n").unwrap_err();
/// assert_eq!((error.at, error.line, error.problem), (5, 2, SdpProblem::MediaPort));
/// assert_eq!(error.to_string(), "line 2, byte 5: the port of the m= line is not a number below 65536");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpError {
    /// The offset of the offending line in the body.
    pub at: usize,
    /// The number of the offending line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: SdpProblem,
}

/// What makes a body unusable as a session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SdpProblem {
    /// The body is longer than the limit.
    TooLong,
    /// There are more `m=` lines than the limit.
    TooManyMedia,
    /// An `m=` line lists more formats than the limit.
    TooManyFormats,
    /// The first line that is not blank is not of the form `x=`.
    NotSdp,
    /// An `m=` line is not UTF-8.
    MediaText,
    /// An `m=` line lacks its media type, port or protocol.
    MediaIncomplete,
    /// The port of an `m=` line is not a 16-bit number.
    MediaPort,
}

impl fmt::Display for SdpProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the description is longer than the limit",
            Self::TooManyMedia => "there are more m= lines than the limit",
            Self::TooManyFormats => "the m= line lists more formats than the limit",
            Self::NotSdp => "a description starts with a line of the form x=",
            Self::MediaText => "the m= line is not UTF-8",
            Self::MediaIncomplete => "the m= line needs a media type, a port and a protocol",
            Self::MediaPort => "the port of the m= line is not a number below 65536",
        })
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}: {}", self.line, self.at, self.problem)
    }
}

impl std::error::Error for SdpError {}
