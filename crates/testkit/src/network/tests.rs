use super::*;

const A: &str = "10.0.0.1:5060";
const B: &str = "10.0.0.2:5060";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn message(method: &str) -> Vec<u8> {
    format!("{method} sip:b SIP/2.0\r\nCSeq: 1 {method}\r\n\r\n").into_bytes()
}

fn send(net: &mut Network, transport: Transport, from: &str, to: &str, method: &str) {
    net.send(transport, from.parse().unwrap(), to.parse().unwrap(), None, message(method));
}

fn arrivals(net: &mut Network) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    while let Some(at) = net.next_arrival() {
        net.advance(at);
        while let Some((_, arrival)) = net.arrival() {
            if let Arrival::Packet(packet) = arrival {
                seen.push((net.now().as_micros() / 1_000, packet.raw().method().to_owned()));
            }
        }
    }
    seen
}

#[test]
fn packets_take_the_latency_and_keep_their_order_without_jitter() {
    let mut net = Network::new(1);
    net.weather().latency = ms(40);
    send(&mut net, Transport::Udp, A, B, "INVITE");
    send(&mut net, Transport::Udp, B, A, "UPDATE");
    assert_eq!(arrivals(&mut net), [(40, "INVITE".to_owned()), (40, "UPDATE".to_owned())]);
    let [one, two] = net.packets() else { panic!("two packets") };
    assert!(one.crosses(two) && two.crosses(one));
}

#[test]
fn planned_faults_meet_only_their_packet() {
    let mut net = Network::new(1);
    net.drop_next(midcall_wire::Method::Ack);
    net.double_next("BYE");
    net.delay_next("INFO", ms(500));
    for method in ["ACK", "BYE", "ACK", "INFO"] {
        send(&mut net, Transport::Udp, A, B, method);
    }
    let seen: Vec<String> = arrivals(&mut net).into_iter().map(|(_, method)| method).collect();
    assert_eq!(seen, ["BYE", "ACK", "BYE", "INFO"]);
    assert_eq!(net.packets()[0].fate, Fate::Lost);
}

#[test]
fn a_merciful_wire_loses_only_so_many_copies_of_a_datagram() {
    let mut net = Network::new(1);
    net.weather().mercy = Some(2);
    net.drop_many("BYE", 3);
    net.weather().loss = 1_000;
    for method in ["BYE", "BYE", "BYE", "ACK", "BYE"] {
        send(&mut net, Transport::Udp, A, B, method);
    }
    let lost: Vec<bool> = net.packets().iter().map(|packet| packet.fate == Fate::Lost).collect();
    assert_eq!(lost, [true, true, false, true, false]);
}

#[test]
fn a_held_packet_is_overtaken_until_released() {
    let mut net = Network::new(1);
    net.hold_back("INVITE");
    send(&mut net, Transport::Udp, A, B, "INVITE");
    send(&mut net, Transport::Udp, A, B, "UPDATE");
    assert_eq!(arrivals(&mut net).len(), 1);
    net.release();
    assert_eq!(arrivals(&mut net)[0].1, "INVITE");
}

#[test]
fn a_cut_wire_loses_what_is_in_flight_until_mended() {
    let mut net = Network::new(1);
    send(&mut net, Transport::Udp, A, B, "INVITE");
    net.cut();
    send(&mut net, Transport::Udp, A, B, "INVITE");
    assert!(arrivals(&mut net).is_empty());
    net.mend();
    send(&mut net, Transport::Udp, A, B, "INVITE");
    assert_eq!(arrivals(&mut net).len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_weather() {
    let storm = |seed| {
        let mut net = Network::new(seed);
        *net.weather() =
            Weather { jitter: ms(30), loss: 200, duplication: 200, reordering: 200, ..Weather::calm(ms(20)) };
        for n in 0..100 {
            send(&mut net, Transport::Udp, A, B, &format!("M{n}"));
        }
        arrivals(&mut net)
    };
    assert_eq!(storm(7), storm(7));
    assert_ne!(storm(7), storm(8));
    assert!(storm(7).windows(2).any(|two| two[0].1 > two[1].1), "nothing was reordered");
}

#[test]
fn a_stream_keeps_order_loses_nothing_and_answers_on_its_connection() {
    let mut net = Network::new(3);
    *net.weather() =
        Weather { jitter: ms(50), loss: 900, duplication: 900, reordering: 900, ..Weather::calm(ms(20)) };
    for n in 0..20 {
        send(&mut net, Transport::Tcp, A, B, &format!("M{n:02}"));
    }
    let seen: Vec<String> = arrivals(&mut net).into_iter().map(|(_, method)| method).collect();
    assert!(seen.len() == 20 && seen.is_sorted(), "{seen:?}");
    let client = net.packets()[0].from;
    assert_ne!(client.port(), 5060);
    net.send(Transport::Tcp, B.parse().unwrap(), client, Some(1), message("OK"));
    net.advance(net.next_arrival().unwrap());
    let (at, Arrival::Packet(packet)) = net.arrival().unwrap() else { panic!("a packet") };
    assert_eq!((at, packet.connection), (A.parse().unwrap(), Some(1)));
    net.reset_connections();
    assert!(matches!(net.arrival(), Some((_, Arrival::Closed { connection: 1 }))));
}

#[test]
fn an_unreachable_address_is_told_to_the_sender() {
    let mut net = Network::new(3);
    net.make_unreachable(B.parse().unwrap());
    send(&mut net, Transport::Udp, A, B, "INVITE");
    assert!(matches!(net.arrival(), Some((at, Arrival::Unreachable { .. })) if at == A.parse().unwrap()));
}
