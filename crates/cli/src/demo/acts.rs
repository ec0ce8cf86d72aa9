//! What the three agents do to each other.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use midcall::session::Codec;
use midcall::{Call, CallEvent, Change, Error, Prefer, Transport};
use midcall_wire::Method;
use tokio::time;

use super::cast::Cast;
use crate::trouble::Trouble;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// Plays all acts.
pub(super) async fn play(cast: &Cast) -> Result<(), Trouble> {
    let (alice, bob) = early(cast).await?;
    hold(cast, &alice).await?;
    codec(cast, &alice).await?;
    collide(cast, &alice, &bob).await?;
    refresh(cast, &alice).await?;
    transfer(cast, &alice, &bob).await
}

/// The call is changed before it is answered.
async fn early(cast: &Cast) -> Result<(Call, Call), Trouble> {
    cast.say("alice calls bob, who opens early media with a reliable 183");
    let alice = step("the call", cast.alice.invite(&uri(&cast.bob, "bob")?)).await?;
    let mut events = alice.events();
    let mut ringing = arrived("the INVITE", cast.bob.incoming()).await?;
    step("early media", ringing.early()).await?;
    let early = async {
        while let Some(event) = events.next().await {
            if matches!(event, CallEvent::Session { early: true, .. }) {
                return Some(());
            }
        }
        None
    };
    arrived("the early session", early).await?;
    cast.listen_in(BOB, ALICE, alice.media());
    cast.listen_in(ALICE, BOB, ringing.call().media());
    pause(400).await;
    cast.say("alice moves to another port while it rings: an early UPDATE");
    let moved = step("the early UPDATE", alice.move_media(0)).await?;
    carried_by(&moved, Method::Update)?;
    pause(400).await;
    cast.say("bob answers");
    let bob = step("the answer", ringing.accept()).await?;
    step("the answer", alice.answered()).await?;
    step("the ACK", bob.answered()).await?;
    pause(800).await;
    Ok((alice, bob))
}

async fn hold(cast: &Cast, alice: &Call) -> Result<(), Trouble> {
    cast.say("alice puts bob on hold: he may hear music, but sends nothing");
    let held = step("hold", alice.hold()).await?;
    carried_by(&held, Method::Invite)?;
    pause(1_000).await;
    cast.say("alice resumes");
    step("resume", alice.resume()).await?;
    pause(700).await;
    Ok(())
}

async fn codec(cast: &Cast, alice: &Call) -> Result<(), Trouble> {
    cast.say("alice changes the codec from PCMU to PCMA, by UPDATE this time");
    let changed = step("the codec", alice.codecs([Codec::pcma(), Codec::pcmu()]).via(Prefer::Update)).await?;
    carried_by(&changed, Method::Update)?;
    pause(700).await;
    Ok(())
}

/// Both change the call in the same instant, each by re-INVITE.
async fn collide(cast: &Cast, alice: &Call, bob: &Call) -> Result<(), Trouble> {
    cast.say("both change the call in the same instant: alice holds, bob gives up PCMU");
    for _ in 0..COLLISIONS {
        let hold = step("alice's hold", alice.hold().via(Prefer::ReInvite));
        let codec = step("bob's codec", bob.codecs([Codec::pcma()]).via(Prefer::ReInvite));
        let (hold, codec) = tokio::join!(hold, codec);
        if hold?.attempts > 1 && codec?.attempts > 1 {
            pause(300).await;
            return Ok(());
        }
        cast.say("one was faster than the other: once more");
        step("resume", alice.resume()).await?;
        step("bob's codecs", bob.codecs([Codec::pcma(), Codec::pcmu()])).await?;
    }
    Err(Trouble::failed(
        "no collision came about",
        format!("in {COLLISIONS} attempts one agent was always faster than the other"),
        "run it again while the machine is less busy",
    ))
}

async fn refresh(cast: &Cast, alice: &Call) -> Result<(), Trouble> {
    cast.say("alice refreshes the session timer: nothing to offer, so an UPDATE without one");
    let refreshed = step("the refresh", alice.refresh()).await?;
    carried_by(&refreshed, Method::Update)?;
    pause(200).await;
    Ok(())
}

async fn transfer(cast: &Cast, alice: &Call, bob: &Call) -> Result<(), Trouble> {
    cast.say("alice transfers bob to carol and leaves");
    let target = uri(&cast.carol, "carol")?;
    let carol = async {
        let ringing = arrived("bob's INVITE", cast.carol.incoming()).await?;
        step("ringing", ringing.ring()).await?;
        pause(300).await;
        let carol = step("carol's answer", ringing.accept()).await?;
        step("bob's ACK", carol.answered()).await?;
        Ok(carol)
    };
    let (transferred, carol, placed) = tokio::join!(
        step("the transfer", alice.transfer_to(&target)),
        carol,
        arrived("bob's call", cast.bob.placed())
    );
    let (carol, placed) = (carol?, placed?);
    transferred?;
    cast.listen_in(BOB, CAROL, carol.media());
    cast.listen_in(CAROL, BOB, placed.media());
    arrived("the end of the first call", bob.ended()).await?;
    pause(800).await;
    cast.say("bob hangs up");
    step("the BYE", placed.hang_up()).await?;
    pause(300).await;
    Ok(())
}

fn uri(agent: &midcall::UserAgent, user: &str) -> Result<String, Trouble> {
    agent.uri(user, Transport::Udp).ok_or_else(|| Trouble::not_started("there is no UDP address", "", ""))
}

/// Waits for something asked for, not for ever.
async fn step<T>(what: &str, asked: impl IntoFuture<Output = Result<T, Error>>) -> Result<T, Trouble> {
    let done = arrived(what, async { Some(asked.into_future().await) }).await?;
    done.map_err(|error| Trouble::failed(format!("{what} failed"), error.to_string(), ADVICE))
}

/// Waits for something to come, not for ever.
async fn arrived<T>(what: &str, coming: impl Future<Output = Option<T>>) -> Result<T, Trouble> {
    let late = || {
        Trouble::failed(
            format!("{what} did not come"),
            format!("not within {} s", PATIENCE.as_secs()),
            ADVICE,
        )
    };
    time::timeout(PATIENCE, coming).await.ok().flatten().ok_or_else(late)
}

fn carried_by(change: &Change, method: Method) -> Result<(), Trouble> {
    if change.method == Some(method) {
        return Ok(());
    }
    let got = change.method.map_or("nothing", |method| method.as_str());
    Err(Trouble::failed(
        format!("{got} was sent where {} was wanted", method.as_str()),
        change.why.text,
        ADVICE,
    ))
}

async fn pause(ms: u64) {
    time::sleep(Duration::from_millis(ms)).await;
}

const COLLISIONS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);
const ADVICE: &str = "the capture shows how far it came";
