//! From what was agreed on to what the engine does.

use std::net::{IpAddr, SocketAddr};

use midcall_proto::session::AgreedStream;

use super::plan::{Coding, MediaPlan};

impl MediaPlan {
    /// The plan for an agreed stream; `remote` is the address that its connection line stands for.
    ///
    /// The audio to send is the first of the agreed formats that this crate can code (RFC 3264 §5.1, §6.1); on the stream of
    /// another kind only reports go.
    ///
    /// ```
    /// use midcall::media::{Coding, MediaPlan};
    /// use midcall::session::{Codec, Local, Stream, Wanted, agreed, answer, offer};
    ///
    /// let mut alice = Wanted::new([127, 0, 0, 1].into(), 1);
    /// alice.add_stream(Stream::audio(4000, [Codec::pcma(), Codec::telephone_event()]));
    /// let mut bob = Wanted::new([127, 0, 0, 1].into(), 2);
    /// bob.add_stream(Stream::audio(5000, [Codec::pcma(), Codec::telephone_event()]));
    /// let offer = offer(&alice, Local::default());
    /// let answer = answer(&bob, &offer, Local::default()).unwrap();
    ///
    /// let plan = MediaPlan::of(&agreed(&offer, &answer).streams[0], Some([127, 0, 0, 1].into()));
    /// assert_eq!(plan.remote, Some("127.0.0.1:5000".parse().unwrap()));
    /// assert_eq!(plan.send, Some((8, Coding::Pcma)));
    /// assert_eq!(plan.send_events, Some(101));
    /// assert!(plan.sends && plan.receives);
    /// ```
    #[must_use]
    pub fn of(stream: &AgreedStream, remote: Option<IpAddr>) -> Self {
        let port = stream.remote.as_ref().map(|(_, port)| *port);
        let coding = |list: &[(u8, midcall_proto::session::Codec)]| -> Vec<(u8, Coding)> {
            list.iter()
                .filter_map(|(number, codec)| Some((*number, Coding::named(&codec.name, codec.clock)?)))
                .collect()
        };
        let events = |list: &[(u8, midcall_proto::session::Codec)]| {
            let eight = list.iter().find(|(_, codec)| codec.is_telephone_event() && codec.clock == 8_000);
            eight.map(|(number, _)| *number)
        };
        Self {
            local_port: stream.local.as_ref().map(|(_, port)| *port),
            remote: remote.zip(port).map(|(address, port)| SocketAddr::new(address, port)),
            remote_rtcp: None,
            send: coding(&stream.send).first().copied(),
            send_events: events(&stream.send),
            receive: coding(&stream.receive),
            receive_events: events(&stream.receive),
            sends: stream.sends,
            receives: stream.receives,
        }
    }
}
