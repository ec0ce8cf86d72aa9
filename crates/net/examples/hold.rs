//! Two agents on loopback: one calls, holds, resumes and hangs up. The capture ends up in the file given as argument.
//!
//! `cargo run --example hold -- hold.pcapng tcp`

use midcall::capture::Capture;
use midcall::media::Source;
use midcall::tap::Tap;
use midcall::{Error, MediaSetup, Transport, UserAgent};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let tap = match arguments.next() {
        Some(path) => Tap::to_capture(Capture::create(path)?, true),
        None => Tap::new(),
    };
    let (listen, transport) = match arguments.next().as_deref() {
        Some("tcp") => ("tcp:127.0.0.1:0", Transport::Tcp),
        _ => ("udp:127.0.0.1:0", Transport::Udp),
    };

    let bob = UserAgent::builder()
        .listen(listen)?
        .identity("sip:bob@127.0.0.1")
        .media(MediaSetup::default().source(Source::Echo))
        .start()
        .await?;
    let uri = bob.uri("bob", transport).unwrap_or_default();
    let answering = tokio::spawn(async move {
        while let Some(incoming) = bob.incoming().await {
            incoming.ring().await?;
            incoming.accept().await?;
        }
        Ok::<(), Error>(())
    });

    let alice = UserAgent::builder()
        .listen(listen)?
        .identity("Alice <sip:alice@127.0.0.1>")
        .media(MediaSetup::default().source(Source::Tone { hertz: 440 }))
        .tap(tap)
        .start()
        .await?;
    let call = alice.invite(&uri).await?;
    call.answered().await?;
    println!("{uri} answered");
    tokio::time::sleep(Duration::from_millis(500)).await;

    let change = call.hold().await?;
    println!("on hold by {:?}: {}", change.method, change.why.text);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let change = call.resume().await?;
    println!("resumed by {:?}: {}", change.method, change.why.text);
    tokio::time::sleep(Duration::from_millis(500)).await;

    if let Some(media) = call.media() {
        let stats = media.stats().await;
        println!("{} packets sent, {} received", stats.packets_sent(), stats.packets_received());
    }
    println!("{}", midcall::describe(&call.hang_up().await?));
    alice.shut_down().await;
    answering.abort();
    Ok(())
}
