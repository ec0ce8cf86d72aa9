//! From captured frames to SIP messages and RTP headers: links, IP, tunnels, fragments, TCP, TLS and WebSocket.
//!
//! Everything that waits for something is bounded, and what has to go is counted: 24 MiB of fragments, 64 MiB of TCP data
//! out of order or in unfinished messages, 65,536 connections (about 50 MiB if all are used), and 65,536 TLS sessions with
//! keys (about 25 MiB). So the memory of a capture stays below 192 MiB, whatever is in it.

mod aging;
mod datagram;
mod fragments;
mod ip;
mod link;
mod reason;
mod stream;
mod tcp;
mod tls;
mod tunnel;
mod websocket;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

use crate::source::{Item, Packet, Place, Rtp, hep};
use datagram::Content;
use fragments::{Fragment, Fragments, Id};
use ip::Ip;
pub(crate) use reason::{Counts, Reason};
use tcp::{Connections, Segment};
pub use tls::Keys;

/// A captured frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) at: Instant,
    /// Its number in the file, from 1.
    pub(crate) number: u64,
    /// The kind of its link, by the numbers that pcap files use.
    pub(crate) link: i32,
    pub(crate) data: &'a [u8],
}

/// When and where something was captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    at: Instant,
    frame: u64,
}

/// Takes frames in and gives what is in them.
#[derive(Debug)]
pub(crate) struct Packets {
    out: Out,
    fragments: Fragments,
    connections: Connections,
    keys: Keys,
    now: Instant,
}

impl Packets {
    pub(crate) fn new() -> Self {
        Self {
            out: Out { items: VecDeque::new(), counts: Counts::new(), messages: 0, media: 0 },
            fragments: Fragments::new(),
            connections: Connections::new(),
            keys: Keys::default(),
            now: Instant::ZERO,
        }
    }

    /// Where to learn TLS keys.
    pub(crate) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// What was passed over, how many messages and how many RTP packets were found.
    pub(crate) fn counted(&self) -> (Counts, u64, u64) {
        let mut counts = self.out.counts.clone();
        counts.add_many(Reason::Crowded, self.fragments.dropped);
        counts.add_many(Reason::Keys, self.keys.dropped());
        (counts, self.out.messages, self.out.media)
    }

    /// What was found, in order.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        self.out.items.pop_front()
    }

    /// Takes a frame in.
    pub(crate) fn frame(&mut self, frame: Frame<'_>) {
        // A clock that was set back, or one packet that was far ahead of its time.
        let leapt = frame.at + LEAP < self.now;
        self.now = if leapt { frame.at } else { self.now.max(frame.at) };
        self.expire(Some(self.now));
        let seen = Seen { at: frame.at, frame: frame.number };
        match link::ip(frame.link, frame.data) {
            Ok(packet) => self.ip(seen, packet, 0),
            Err(reason) => self.out.counts.add(reason),
        }
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self) {
        self.expire(None);
        self.connections.finish(&mut self.out, &self.keys);
        self.out.items.make_contiguous().sort_by_key(Item::at);
    }

    fn expire(&mut self, now: Option<Instant>) {
        while let Some(torn) = self.fragments.expired(now) {
            self.out.counts.add(Reason::Torn);
            if torn.id.protocol == ip::UDP && !torn.data.is_empty() {
                let seen = Seen { at: torn.at, frame: torn.frame };
                // The beginning of a message is better than nothing.
                self.datagram(seen, &whole(&torn.id, &torn.data, MAX_DATAGRAM), 0);
            }
        }
        if let Some(now) = now {
            self.connections.expire(now, &mut self.out, &self.keys);
        }
    }

    fn ip(&mut self, seen: Seen, bytes: &[u8], depth: u8) {
        match Ip::read(bytes) {
            Err(reason) => self.out.counts.add(reason),
            Ok(_) if depth > MAX_TUNNELS => self.out.counts.add(Reason::Deep),
            Ok(packet) => match packet.fragment {
                None => self.carried(seen, &packet, depth),
                Some(_) if packet.missing > 0 => self.out.counts.add(Reason::Cut),
                Some(part) => {
                    let Ip { from, to, protocol, payload, .. } = packet;
                    let id = Id { from, to, protocol, number: part.number };
                    let fragment = Fragment { offset: part.offset, more: part.more, data: payload };
                    if let Some(data) = self.fragments.add(id, &fragment, seen.at, seen.frame) {
                        self.carried(seen, &whole(&id, &data, 0), depth);
                    }
                }
            },
        }
    }

    fn carried(&mut self, seen: Seen, packet: &Ip<'_>, depth: u8) {
        let inner = match packet.protocol {
            ip::UDP => return self.datagram(seen, packet, depth),
            ip::TCP => return self.segment(seen, packet),
            ip::IN_IPV4 | ip::IN_IPV6 => Ok(packet.payload),
            ip::GRE => tunnel::gre(packet.payload),
            ip::ETHER_IP => link::after(packet.payload, 2).and_then(link::ethernet),
            _ => Err(Reason::Other),
        };
        match inner {
            Ok(inner) => self.ip(seen, inner, depth + 1),
            Err(reason) => self.out.counts.add(reason),
        }
    }

    fn datagram(&mut self, seen: Seen, packet: &Ip<'_>, depth: u8) {
        let Some(([s1, s0, d1, d0, l1, l0, _, _], payload)) = packet.payload.split_first_chunk::<8>() else {
            return self.out.counts.add(Reason::Nonsense);
        };
        let from = SocketAddr::new(packet.from, u16::from_be_bytes([*s1, *s0]));
        let to = SocketAddr::new(packet.to, u16::from_be_bytes([*d1, *d0]));
        // A length of zero is left by a sender that has its network card cut datagrams.
        let length = usize::from(u16::from_be_bytes([*l1, *l0])).checked_sub(8);
        let payload = length.and_then(|length| payload.get(..length)).unwrap_or(payload);
        let cut = packet.missing > 0 || length.is_some_and(|length| length > payload.len());
        if let Some(inner) = tunnel::in_datagram(to.port(), payload) {
            return self.ip(seen, inner, depth + 1);
        }
        match datagram::content((from.port(), to.port()), payload) {
            Content::Sip => self.out.sip(seen, (from, to), Transport::Udp, payload.to_vec(), cut),
            Content::Hep => self.out.hep(seen, payload),
            Content::Rtp(header) => self.out.rtp(seen, (from, to), header),
            Content::Other(_) if cut => self.out.counts.add(Reason::Cut),
            Content::Other(reason) => self.out.counts.add(reason),
        }
    }

    fn segment(&mut self, seen: Seen, packet: &Ip<'_>) {
        match Segment::read(packet) {
            Some(segment) => self.connections.take(seen, &segment, &mut self.out, &self.keys),
            None => self.out.counts.add(Reason::Nonsense),
        }
    }
}

/// A packet that was put together.
fn whole<'a>(id: &Id, payload: &'a [u8], missing: usize) -> Ip<'a> {
    Ip { from: id.from, to: id.to, protocol: id.protocol, payload, missing, fragment: None }
}

/// What was found and what was not.
#[derive(Debug)]
struct Out {
    items: VecDeque<Item>,
    counts: Counts,
    messages: u64,
    media: u64,
}

impl Out {
    fn sip(
        &mut self,
        seen: Seen,
        (from, to): (SocketAddr, SocketAddr),
        transport: Transport,
        payload: Vec<u8>,
        cut: bool,
    ) {
        self.messages += 1;
        let place = Place { source: 0, number: seen.frame };
        self.items.push_back(Item::Sip(Packet { at: seen.at, from, to, transport, payload, place, cut }));
    }

    /// What an agent sent to its collector: times and addresses are those that the agent saw.
    fn hep(&mut self, seen: Seen, payload: &[u8]) {
        let Some(carried) = hep::payload(payload).filter(hep::Carried::is_sip) else {
            return self.counts.add(Reason::Hep);
        };
        let seen = Seen { at: carried.at.unwrap_or(seen.at), ..seen };
        let transport = carried.transport.unwrap_or(Transport::Udp);
        self.sip(seen, (carried.from, carried.to), transport, carried.payload.into_owned(), false);
    }

    fn rtp(&mut self, seen: Seen, (from, to): (SocketAddr, SocketAddr), header: datagram::Header) {
        self.media += 1;
        let datagram::Header { payload_type, sequence, timestamp, ssrc } = header;
        let place = Place { source: 0, number: seen.frame };
        self.items.push_back(Item::Rtp(Rtp {
            at: seen.at,
            from,
            to,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            place,
        }));
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(be16(bytes, at)?) << 16 | u32::from(be16(bytes, at + 2)?))
}

/// Packets are never so far out of order.
const LEAP: Duration = Duration::from_secs(60);
/// Tunnels in tunnels.
const MAX_TUNNELS: u8 = 8;
/// More than any datagram has: all of the rest is missing.
const MAX_DATAGRAM: usize = 65_535;
