//! The four transaction machines as tables.
//!
//! What a machine *does* on an edge stands in `client.rs` and `server.rs`; the tables say only where it may go.
//! An event without an edge leaves the machine where it is, and the caller counts it.

crate::transitions! {
    /// An INVITE as its sender sees it: RFC 3261 §17.1.1.2, figure 5, as RFC 6026 §8.5 redraws it.
    pub enum InviteClient { Calling, Proceeding, Completed, Accepted, Terminated }
    /// What moves an INVITE client.
    pub enum InviteClientEvent;

    /// Resend: on datagrams until anything comes back.
    timer_a(Calling => Calling);
    /// RFC 3581 §3: resend now and then, so that a NAT keeps its binding.
    keep_binding(Proceeding => Proceeding);
    /// Nothing came back in 64*T1.
    timer_b(Calling => Terminated);
    provisional(Calling | Proceeding => Proceeding);
    success(Calling | Proceeding | Accepted => Accepted);
    failure(Calling | Proceeding | Completed => Completed);
    /// No more failures can come back that would want an ACK.
    timer_d(Completed => Terminated);
    /// No more 2xx can come back, neither resent nor from another fork.
    timer_m(Accepted => Terminated);
    /// RFC 3261 §9.1: no final response in 64*T1 after a CANCEL.
    cancel_unheard(Calling | Proceeding => Terminated);
    transport_error(Calling | Completed => Terminated);
}

crate::transitions! {
    /// Any other request as its sender sees it: RFC 3261 §17.1.2.2, figure 6.
    pub enum RequestClient { Trying, Proceeding, Completed, Terminated }
    /// What moves a non-INVITE client.
    pub enum RequestClientEvent;

    /// Resend: on datagrams until a final response.
    timer_e(Trying => Trying, Proceeding => Proceeding);
    /// No final response in 64*T1.
    timer_f(Trying | Proceeding => Terminated);
    provisional(Trying | Proceeding => Proceeding);
    last(Trying | Proceeding => Completed);
    /// No more resent finals can come back.
    timer_k(Completed => Terminated);
    transport_error(Trying | Proceeding => Terminated);
}

crate::transitions! {
    /// An INVITE as its receiver sees it: RFC 3261 §17.2.1, figure 7, as RFC 6026 §8.7 redraws it.
    pub enum InviteServer { Proceeding, Completed, Accepted, Confirmed, Terminated }
    /// What moves an INVITE server.
    pub enum InviteServerEvent;

    /// The INVITE came again.
    invite(Proceeding => Proceeding, Completed => Completed, Accepted => Accepted);
    provisional(Proceeding => Proceeding);
    success(Proceeding | Accepted => Accepted);
    failure(Proceeding => Completed);
    ack(Completed | Confirmed => Confirmed, Accepted => Accepted);
    /// Resend the failure: on datagrams until its ACK.
    timer_g(Completed => Completed);
    /// No ACK in 64*T1.
    timer_h(Completed => Terminated);
    /// No more resent ACKs can come.
    timer_i(Confirmed => Terminated);
    /// No more resent INVITEs can come.
    timer_l(Accepted => Terminated);
    /// RFC 6026 §7.1: the machine stays, so that a resent INVITE is not taken for a new one.
    transport_error(Proceeding => Proceeding, Completed => Completed, Accepted => Accepted);
}

crate::transitions! {
    /// Any other request as its receiver sees it: RFC 3261 §17.2.2, figure 8, with RFC 4320 §4 and RFC 6026 §8.8.
    pub enum RequestServer { Trying, Proceeding, Completed, Terminated }
    /// What moves a non-INVITE server.
    pub enum RequestServerEvent;

    /// The request came again: silence in Trying, the last response otherwise.
    request(Trying => Trying, Proceeding => Proceeding, Completed => Completed);
    provisional(Trying | Proceeding => Proceeding);
    last(Trying | Proceeding => Completed);
    /// RFC 4320 §4.2: too late for any answer, the client gave up at its timer F.
    too_late(Trying | Proceeding => Terminated);
    /// No more resent requests can come.
    timer_j(Completed => Terminated);
    /// RFC 6026 §8.8: a server transaction outlives a response that could not be sent.
    transport_error(Trying => Trying, Proceeding => Proceeding, Completed => Completed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invite_client_moves_as_figure_5_says() {
        insta::assert_snapshot!(InviteClient::table());
    }

    #[test]
    fn the_non_invite_client_moves_as_figure_6_says() {
        insta::assert_snapshot!(RequestClient::table());
    }

    #[test]
    fn the_invite_server_moves_as_figure_7_says() {
        insta::assert_snapshot!(InviteServer::table());
    }

    #[test]
    fn the_non_invite_server_moves_as_figure_8_says() {
        insta::assert_snapshot!(RequestServer::table());
    }
}
