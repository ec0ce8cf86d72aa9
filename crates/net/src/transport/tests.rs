//! Real sockets on loopback. Every wait is for something that must happen.

use std::future::Future;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::*;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    time::timeout(Duration::from_secs(10), what).await.expect("it should have happened")
}

async fn on(transport: Transport) -> (Transports, SocketAddr) {
    let mut transports = Transports::new(Tap::new(), None);
    let address = transports.listen(Listen { transport, address: ANY }, None).await.unwrap();
    (transports, address)
}

fn message(body: usize) -> Bytes {
    let head = format!("OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nContent-Length: {body}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; body]].concat().into()
}

fn stream_to(remote: SocketAddr, connection: Option<u64>) -> Flow {
    Flow { transport: Transport::Tcp, local: ANY, remote, connection }
}

#[test]
fn listen_addresses_read_and_write() {
    for text in ["udp:127.0.0.1:5060", "tcp:[::1]:5070", "tls:0.0.0.0:5061"] {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
    assert_eq!("tls:127.0.0.1".parse::<Listen>().unwrap().address.port(), 5061);
    for text in ["127.0.0.1:5060", "sctp:127.0.0.1:5060", "udp:", "udp:example.com"] {
        assert!(text.parse::<Listen>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn datagrams_of_any_size_come_with_their_addresses() {
    let ((mut a, from), (mut b, to)) = (on(Transport::Udp).await, on(Transport::Udp).await);
    for size in [0, 1_000, 65_000] {
        let sent = message(size);
        a.send(&Flow::udp(from, to), &sent);
        let Arrival::Datagram { flow, length } = soon(b.next()).await else { panic!("a datagram") };
        assert_eq!((flow.local, flow.remote), (to, from));
        assert_eq!(b.datagram(length), &sent[..]);
    }
    assert_eq!(a.counters().snapshot().sent, 3);
    assert_eq!(b.counters().snapshot().received, 3);
}

#[tokio::test]
async fn a_burst_is_read_in_one_go() {
    let ((mut a, from), (mut b, to)) = (on(Transport::Udp).await, on(Transport::Udp).await);
    for _ in 0..10 {
        a.send(&Flow::udp(from, to), &message(0));
    }
    soon(b.next()).await;
    let mut more = 0;
    while more < 9 {
        match b.try_next() {
            Some(_) => more += 1,
            None => tokio::task::yield_now().await,
        }
    }
    assert!(b.try_next().is_none());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_port_nobody_listens_on_is_reported() {
    let gone = UdpSocket::bind(ANY).await.unwrap().local_addr().unwrap();
    let ((mut a, from), (mut b, to)) = (on(Transport::Udp).await, on(Transport::Udp).await);
    a.send(&Flow::udp(from, gone), &message(0));
    let Arrival::Failed { transport, remote } = soon(a.next()).await else { panic!("a failure") };
    assert_eq!((transport, remote), (Transport::Udp, gone));
    // It does not cost the next datagram to somebody else.
    a.send(&Flow::udp(from, gone), &message(0));
    a.send(&Flow::udp(from, to), &message(0));
    assert!(matches!(soon(b.next()).await, Arrival::Datagram { .. }));
    assert!(a.counters().snapshot().unreachable >= 1);
}

#[tokio::test]
async fn an_address_of_no_socket_fails() {
    let (mut a, from) = on(Transport::Udp).await;
    a.send(&Flow::udp(from, "[::1]:9".parse().unwrap()), &message(0));
    let flow = Flow { transport: Transport::Wss, ..stream_to(from, None) };
    a.send(&flow, &message(0));
    assert!(matches!(soon(a.next()).await, Arrival::Failed { .. } | Arrival::Datagram { .. }));
    assert!(a.counters().snapshot().send_failed >= 1);
}

#[tokio::test]
async fn answers_use_the_connection_and_requests_reuse_it() {
    let ((mut a, _), (mut b, to)) = (on(Transport::Tcp).await, on(Transport::Tcp).await);
    a.send(&stream_to(to, None), &message(10));
    a.send(&stream_to(to, None), &message(60_000));
    let Arrival::Message { flow: there, bytes } = soon(b.next()).await else { panic!("a message") };
    assert_eq!(bytes, message(10));
    let Arrival::Message { flow: second, .. } = soon(b.next()).await else { panic!("a message") };
    assert_eq!(second, there);
    assert!(there.connection.is_some());

    b.send(&there, &message(3));
    let Arrival::Message { flow: back, bytes } = soon(a.next()).await else { panic!("an answer") };
    assert_eq!(bytes, message(3));
    assert_eq!((back.remote, back.local), (to, there.remote));
    assert_eq!((a.counters().snapshot().connected, b.counters().snapshot().accepted), (1, 1));
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let (mut a, _) = on(Transport::Tcp).await;
    let gone = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    a.send(&stream_to(gone, None), &message(0));
    let Arrival::Failed { transport, remote } = soon(a.next()).await else { panic!("a failure") };
    assert_eq!((transport, remote), (Transport::Tcp, gone));
}

#[tokio::test]
async fn who_hangs_up_on_a_connection_without_a_word_counts_as_nobody() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let there = listener.local_addr().unwrap();
    let (mut a, _) = on(Transport::Tcp).await;
    a.send(&stream_to(there, None), &message(0));
    drop(soon(listener.accept()).await.unwrap());
    let Arrival::Failed { transport, remote } = soon(a.next()).await else { panic!("a failure") };
    assert_eq!((transport, remote), (Transport::Tcp, there));
}

#[tokio::test]
async fn a_closed_connection_is_told_and_the_next_message_opens_another() {
    let ((mut a, _), (mut b, to)) = (on(Transport::Tcp).await, on(Transport::Tcp).await);
    a.send(&stream_to(to, None), &message(0));
    let Arrival::Message { flow: there, .. } = soon(b.next()).await else { panic!("a message") };
    b.send(&there, &message(0));
    let Arrival::Message { flow: back, .. } = soon(a.next()).await else { panic!("an answer") };
    b.close().await;
    let Arrival::Closed { connection } = soon(a.next()).await else { panic!("a close") };
    assert_eq!(Some(connection), back.connection);

    let mut again = Transports::new(Tap::new(), None);
    again.listen(Listen { transport: Transport::Tcp, address: to }, None).await.unwrap();
    // The number is of a connection that is gone: a new one is opened to the same place.
    a.send(&back, &message(1));
    let Arrival::Message { bytes, .. } = soon(again.next()).await else { panic!("a message") };
    assert_eq!(bytes, message(1));
}

#[tokio::test]
async fn pings_get_pongs_and_are_sent_when_idle() {
    let (mut b, to) = on(Transport::Tcp).await;
    let mut peer = TcpStream::connect(to).await.unwrap();
    peer.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    tokio::select! {
        read = soon(peer.read_exact(&mut pong)) => { read.unwrap(); }
        other = b.next() => panic!("{other:?}"),
    }
    assert_eq!(&pong, b"\r\n");
    assert_eq!(b.counters().snapshot().pings, 1);

    let listener = TcpListener::bind(ANY).await.unwrap();
    let mut a = Transports::new(Tap::new(), Some(Duration::from_millis(50)));
    a.send(&stream_to(listener.local_addr().unwrap(), None), &message(0));
    let (mut peer, _) = soon(listener.accept()).await.unwrap();
    let mut read = vec![0; message(0).len() + 4];
    soon(peer.read_exact(&mut read)).await.unwrap();
    assert!(read.ends_with(b"\r\n\r\n\r\n\r\n"));
}

#[tokio::test]
async fn what_is_no_sip_costs_the_connection() {
    let (mut b, to) = on(Transport::Tcp).await;
    let mut peer = TcpStream::connect(to).await.unwrap();
    peer.write_all(b"INVITE sip:x SIP/2.0\r\nContent-Length: many\r\n\r\n").await.unwrap();
    assert!(matches!(soon(b.next()).await, Arrival::Closed { .. }));
    assert!(b.counters().snapshot().broken_frames >= 1);
    assert_eq!(soon(peer.read(&mut [0; 8])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_its_queue_only() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let (mut a, _) = on(Transport::Tcp).await;
    let flow = stream_to(listener.local_addr().unwrap(), None);
    let failed = async {
        loop {
            a.send(&flow, &message(60_000));
            let next = time::timeout(Duration::from_millis(1), a.next()).await;
            if let Ok(Arrival::Failed { remote, .. }) = next {
                return remote;
            }
        }
    };
    assert_eq!(soon(failed).await, flow.remote);
    assert!(a.counters().snapshot().send_queue_full >= 1);
}

#[tokio::test]
async fn the_tap_sees_streams_with_their_real_addresses() {
    let tap = Tap::new().with_listeners(16);
    let mut seen = tap.listen().unwrap();
    let mut a = Transports::new(tap, None);
    let (mut b, to) = on(Transport::Tcp).await;
    a.send(&stream_to(to, None), &message(0));
    let Arrival::Message { flow, .. } = soon(b.next()).await else { panic!("a message") };
    let first = soon(seen.recv()).await.unwrap();
    assert_eq!((first.way, first.from, first.to), (Way::Sent, flow.remote, to));
}
