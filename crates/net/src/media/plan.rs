//! What a media session does until the next plan: the agreed stream, boiled down to what the engine needs.

use std::net::SocketAddr;

use super::g711;

/// The codings of audio this crate can send and play.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Coding {
    /// G.711 mu-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Coding {
    /// The coding of this `a=rtpmap` name and clock rate, if it is one of ours.
    ///
    /// ```
    /// use midcall::media::Coding;
    ///
    /// assert_eq!(Coding::named("pcma", 8000), Some(Coding::Pcma));
    /// assert_eq!(Coding::named("opus", 48000), None);
    /// ```
    #[must_use]
    pub fn named(name: &str, clock: u32) -> Option<Self> {
        match clock {
            g711::RATE if name.eq_ignore_ascii_case("PCMU") => Some(Self::Pcmu),
            g711::RATE if name.eq_ignore_ascii_case("PCMA") => Some(Self::Pcma),
            _ => None,
        }
    }

    /// The payload type that RFC 3551 §6 gives it.
    #[must_use]
    pub fn payload(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    pub(crate) fn encode(self, samples: &[i16], payload: &mut Vec<u8>) {
        match self {
            Self::Pcmu => payload.extend(samples.iter().map(|sample| g711::encode_mu(*sample))),
            Self::Pcma => payload.extend(samples.iter().map(|sample| g711::encode_a(*sample))),
        }
    }

    pub(crate) fn decode(self, payload: &[u8], samples: &mut Vec<i16>) {
        match self {
            Self::Pcmu => samples.extend(payload.iter().map(|byte| g711::decode_mu(*byte))),
            Self::Pcma => samples.extend(payload.iter().map(|byte| g711::decode_a(*byte))),
        }
    }
}

/// Where to send, what, and what to expect.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MediaPlan {
    /// Our port to send from, one that the session opened; `None` keeps the one in use.
    pub local_port: Option<u16>,
    /// Where RTP goes. With an unspecified address (`c=0.0.0.0`) or port 0 neither RTP nor RTCP is sent
    /// (RFC 3264 §5.1, §8.4).
    pub remote: Option<SocketAddr>,
    /// Where RTCP goes; `None` means the port above [`remote`](Self::remote). The same address as RTP means both share a
    /// port (RFC 5761).
    pub remote_rtcp: Option<SocketAddr>,
    /// The peer's number for the audio we send, and what it is.
    pub send: Option<(u8, Coding)>,
    /// The peer's number for telephone events.
    pub send_events: Option<u8>,
    /// Our numbers for the audio we receive; 0 and 8 are understood without being listed.
    pub receive: Vec<(u8, Coding)>,
    /// Our number for telephone events.
    pub receive_events: Option<u8>,
    /// Whether audio may be sent. On hold it may not; RTCP goes on (RFC 3264 §8.4).
    pub sends: bool,
    /// Whether audio that comes in is recorded and echoed. It is counted either way.
    pub receives: bool,
}

impl MediaPlan {
    /// Sends and receives one coding under its static number.
    #[must_use]
    pub fn both_ways(remote: SocketAddr, coding: Coding) -> Self {
        Self {
            remote: Some(remote),
            send: Some((coding.payload(), coding)),
            receive: vec![(coding.payload(), coding)],
            sends: true,
            receives: true,
            ..Self::default()
        }
    }

    /// Neither sends nor plays anything, as for a refused stream.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Where RTP may go.
    pub(crate) fn rtp_target(&self) -> Option<SocketAddr> {
        self.remote.filter(|remote| !remote.ip().is_unspecified() && remote.port() != 0)
    }

    /// Where RTCP may go: never to a black hole (RFC 3264 §5.1).
    pub(crate) fn rtcp_target(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_target()?;
        let above = || Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
        self.remote_rtcp.or_else(above).filter(|remote| !remote.ip().is_unspecified())
    }

    pub(crate) fn coding_of(&self, payload: u8) -> Option<Coding> {
        let listed = self.receive.iter().find(|(number, _)| *number == payload).map(|(_, coding)| *coding);
        listed.or(match payload {
            0 => Some(Coding::Pcmu),
            8 => Some(Coding::Pcma),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_black_hole_takes_neither_rtp_nor_rtcp() {
        let mut plan = MediaPlan::both_ways("0.0.0.0:4000".parse().unwrap(), Coding::Pcmu);
        assert_eq!((plan.rtp_target(), plan.rtcp_target()), (None, None));
        plan.remote_rtcp = Some("127.0.0.1:4001".parse().unwrap());
        assert_eq!(plan.rtcp_target(), None);
        plan.remote = Some("127.0.0.1:0".parse().unwrap());
        assert_eq!((plan.rtp_target(), plan.rtcp_target()), (None, None));
    }

    #[test]
    fn rtcp_goes_to_the_next_port_unless_told() {
        let mut plan = MediaPlan::both_ways("127.0.0.1:4000".parse().unwrap(), Coding::Pcma);
        assert_eq!(plan.rtcp_target(), Some("127.0.0.1:4001".parse().unwrap()));
        plan.remote_rtcp = plan.remote;
        assert_eq!(plan.rtcp_target(), plan.remote);
    }

    #[test]
    fn own_numbers_come_before_static_ones() {
        let plan = MediaPlan { receive: vec![(96, Coding::Pcma), (0, Coding::Pcma)], ..MediaPlan::default() };
        assert_eq!(plan.coding_of(96), Some(Coding::Pcma));
        assert_eq!(plan.coding_of(0), Some(Coding::Pcma));
        assert_eq!(plan.coding_of(8), Some(Coding::Pcma));
        assert_eq!(plan.coding_of(97), None);
    }
}
