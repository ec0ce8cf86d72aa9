//! Calls to a scripted peer: one that rings at two places, and one that changes its mind about where media goes.

use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::endpoint::{Config, Modification};
use midcall_proto::rules::RuleId;
use midcall_wire::{Builder, Message, Method, Name};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time;

use crate::{Call, Error, MediaSetup, UserAgent};

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match time::timeout(Duration::from_secs(15), wait).await {
        Ok(done) => done,
        Err(_) => panic!("it should have happened: {what}"),
    }
}

async fn caller(change: impl FnOnce(&mut Config)) -> UserAgent {
    let builder = UserAgent::builder().listen("udp:127.0.0.1:0").unwrap().identity("sip:alice@127.0.0.1");
    builder.media(MediaSetup::default()).configure(change).start().await.unwrap()
}

fn sdp(port: u16, version: u32, direction: &str) -> Vec<u8> {
    let head = format!("v=0\r\no=bob 7 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n");
    format!("{head}m=audio {port} RTP/AVP 8\r\na={direction}\r\n").into_bytes()
}

/// A peer that says what its script tells it to.
struct Peer {
    socket: UdpSocket,
    caller: Option<SocketAddr>,
}

type Request = Message<Vec<u8>>;

impl Peer {
    async fn new() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), caller: None }
    }

    fn uri(&self) -> String {
        format!("sip:bob@{}", self.socket.local_addr().unwrap())
    }

    /// The next request with this method; PRACKs and BYEs are answered on the way.
    async fn next(&mut self, method: Method) -> Request {
        loop {
            let mut buffer = vec![0; 65_535];
            let (length, from) = self.socket.recv_from(&mut buffer).await.unwrap();
            self.caller = Some(from);
            buffer.truncate(length);
            let Ok(request) = Message::parse(buffer) else { continue };
            if request.method() == method {
                return request;
            }
            if matches!(request.method(), Method::Prack | Method::Bye) {
                self.say(Builder::reply(&request, 200, None)).await;
            }
        }
    }

    async fn say(&self, response: Builder) {
        self.socket.send_to(&response.finish(), self.caller.unwrap()).await.unwrap();
    }

    fn reply(&self, request: &Request, status: u16, tag: &str) -> Builder {
        let response = Builder::reply(request, status, None).to_tag(tag);
        response
            .header(Name::Contact, format_args!("<{}>", self.uri()))
            .header(Name::Allow, "INVITE, ACK, UPDATE, PRACK, BYE")
    }

    /// Rings at a place, with the answer.
    async fn rings_at(&self, invite: &Request, tag: &str, port: u16) {
        let ringing = self.reply(invite, 183, tag).header(Name::Require, "100rel").header(Name::RSeq, 1);
        self.say(ringing.body("application/sdp", &sdp(port, 1, "sendrecv"))).await;
    }
}

/// A call that rings at two places, and its peer: whoever is told to answers, and what is asked of a place is done.
async fn forked(ua: &UserAgent) -> (Call, mpsc::Sender<&'static str>) {
    let mut peer = Peer::new().await;
    let call = ua.invite(&peer.uri()).await.unwrap();
    let (answers, mut winner) = mpsc::channel::<&'static str>(1);
    tokio::spawn(async move {
        let invite = peer.next(Method::Invite).await;
        peer.rings_at(&invite, "place-b", 40_002).await;
        peer.rings_at(&invite, "place-c", 40_004).await;
        loop {
            tokio::select! {
                asked = peer.next(Method::Update) => {
                    let tag = asked.to().unwrap().tag().unwrap().to_owned();
                    let done = peer.reply(&asked, 200, &tag);
                    let held = String::from_utf8_lossy(asked.body()).contains("a=sendonly");
                    let direction = if held { "recvonly" } else { "sendrecv" };
                    peer.say(done.body("application/sdp", &sdp(40_002, 2, direction))).await;
                }
                Some(tag) = winner.recv() => peer.say(peer.reply(&invite, 200, tag)).await,
            }
        }
    });
    let both = async {
        while call.branches().await.len() < 2 {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("two places", both).await;
    (call, answers)
}

#[tokio::test]
async fn one_place_that_rings_is_changed_alone() {
    for (winner, held) in [("place-b", true), ("place-c", false)] {
        let ua = caller(|_| ()).await;
        let (call, answers) = forked(&ua).await;
        assert_eq!(call.branches().await, ["place-b", "place-c"]);
        let hold = || Modification::Hold(None);
        let nobody = soon("a refusal", call.modify_branch("nobody", hold()).into_future()).await;
        assert!(
            matches!(&nobody, Err(Error::Refused(why)) if why.rule == RuleId::UpdateInOneFork),
            "{nobody:?}"
        );
        let change = soon("a hold", call.modify_branch("place-b", hold()).into_future()).await.unwrap();
        assert_eq!(change.method.map(|method| method.as_str()), Some("UPDATE"));
        answers.send(winner).await.unwrap();
        soon("an answer", call.answered()).await.unwrap();
        assert_eq!(call.state().held_by_us, held, "{winner}");
        assert_eq!(call.branches().await, [] as [&str; 0]);
        soon("hanging up", call.hang_up()).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_answer_is_followed_where_that_is_set() {
    for follow in [false, true] {
        let ua = caller(|config| config.follow_last_answer = follow).await;
        let mut peer = Peer::new().await;
        let [early, late] =
            [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap()];
        let ports = [&early, &late].map(|socket| socket.local_addr().unwrap().port());
        let call = ua.invite(&peer.uri()).await.unwrap();
        let invite = peer.next(Method::Invite).await;
        for (status, version, port) in [(183, 1, ports[0]), (200, 2, ports[1])] {
            let said =
                peer.reply(&invite, status, "b").body("application/sdp", &sdp(port, version, "sendrecv"));
            peer.say(said).await;
        }
        soon("an acknowledgement", peer.next(Method::Ack)).await;
        soon("an answer", call.answered()).await.unwrap();
        let (followed, left) = if follow { (&late, &early) } else { (&early, &late) };
        let mut packet = [0; 2_048];
        for _ in 0..2 {
            // What was sent before the 2xx came may still be in the other socket the first time.
            while left.try_recv(&mut packet).is_ok() {}
            for _ in 0..5 {
                soon("audio", followed.recv_from(&mut packet)).await.unwrap();
            }
        }
        assert!(left.try_recv(&mut packet).is_err(), "follow: {follow}");
        let hanging = tokio::spawn(async move { call.hang_up().await });
        let bye = peer.next(Method::Bye).await;
        peer.say(Builder::reply(&bye, 200, None)).await;
        soon("hanging up", hanging).await.unwrap().unwrap();
    }
}
