//! Where a request came from and where its responses go: RFC 3261 §18.2.1 and §18.2.2, RFC 3581 §4.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use midcall_wire::{Edit, Via};

use crate::Msg;
use crate::flow::Flow;

/// The request with received and rport in its top Via, where they are due; `None` where they are not.
///
/// A response copies the Via of its request, so this is the only place that has to know.
pub(super) fn stamped(msg: &Msg, via: &Via<'_>, source: SocketAddr) -> Option<Msg> {
    let ip = source.ip().to_canonical();
    if via.rport().is_none() && via.ip() == Some(ip) {
        return None;
    }
    let mut edit = Edit::new(msg);
    edit.received(ip, source.port());
    Msg::parse(Bytes::from(edit.finish())).ok()
}

/// Where responses go while the request's connection is open, and where they go when it is not.
pub(super) fn reply_flows(via: &Via<'_>, flow: Flow) -> (Flow, Flow) {
    let port = via.port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port());
    let mut listens = flow;
    listens.remote.set_port(port);
    listens.connection = None;
    if flow.transport.reliable() {
        return (flow, listens);
    }
    let reply = match via.maddr().and_then(ip) {
        Some(maddr) => Flow { remote: SocketAddr::new(maddr, port), ..listens },
        None if via.rport().is_some() => flow,
        None => listens,
    };
    (reply, reply)
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
