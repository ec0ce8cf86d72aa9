use std::net::SocketAddr;

use super::*;

fn ends() -> (SocketAddr, SocketAddr) {
    ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap())
}

fn ringing() -> [String; 2] {
    let head = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:alice@192.0.2.1>;tag=a\r\n";
    let rest = "Call-ID: c1\r\nCSeq: 1 INVITE\r\nContact: <sip:x@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";
    [
        format!(
            "INVITE sip:bob@192.0.2.2 SIP/2.0\r\n{head}To: <sip:bob@192.0.2.2>\r\nMax-Forwards: 70\r\n{rest}"
        ),
        format!("SIP/2.0 180 Ringing\r\n{head}To: <sip:bob@192.0.2.2>;tag=b\r\n{rest}"),
    ]
}

#[test]
fn a_call_that_rings_for_an_hour_is_seldom_looked_at() {
    let mut observer = Observer::new(ObserverConfig::default());
    let (alice, bob) = ends();
    let [invite, progress] = ringing();
    observer.observe(Instant::ZERO, alice, bob, invite.as_bytes());
    observer.observe(Instant::ZERO, bob, alice, progress.as_bytes());
    let hour = Instant::ZERO + Duration::from_secs(3_600);
    let mut looks = 0;
    while let Some(due) = observer.next_due().filter(|due| *due < hour) {
        observer.tick(due);
        looks += 1;
    }
    assert!(looks < 100, "{looks} looks");
}

#[test]
fn a_call_that_was_set_aside_goes_on_where_it_was() {
    let (alice, bob) = ends();
    let [invite, progress] = ringing();
    let mut observer = Observer::new(ObserverConfig::default());
    assert_eq!(observer.observe(Instant::ZERO, alice, bob, invite.as_bytes()), Some(1));
    let aside = observer.set_aside().expect("a call");
    assert!(observer.calls().next().is_none() && observer.next_due().is_none());
    assert!(observer.set_aside().is_none());
    // Another call in between, later, under the same name and numbers of its own.
    let later = Instant::ZERO + Duration::from_secs(9_000);
    assert_eq!(observer.observe(later, alice, bob, invite.as_bytes()), Some(1));
    observer.set_aside();
    observer.take_back(aside);
    assert_eq!(observer.observe(Instant::ZERO, bob, alice, progress.as_bytes()), Some(2));
    let call = observer.latest().expect("the call");
    assert_eq!((call.messages().len(), call.dialogs().len()), (2, 1));
    assert_eq!((observer.stats().messages, observer.stats().calls), (3, 2));
}
