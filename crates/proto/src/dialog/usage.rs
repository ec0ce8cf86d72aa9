//! The INVITE usage of a dialog.

crate::transitions! {
    /// Where the INVITE usage of a dialog stands for one party. RFC 5407 §2, figures 1 and 2.
    pub enum InviteState { Preparative, Early, Moratorium, Established, Mortal, Morgue }
    /// What moves an INVITE usage. Retransmissions never get here: transactions take them.
    pub enum InviteEvent;

    /// A provisional response with a To tag.
    tagged_provisional(Preparative | Early => Early);
    /// The first 2xx to the INVITE that forms the dialog.
    success(Preparative | Early => Moratorium);
    /// The ACK for that 2xx.
    ack(Moratorium => Established);
    /// A non-2xx final response to that INVITE.
    failure(Preparative | Early => Morgue);
    /// BYE sent or received.
    bye(Preparative | Early | Moratorium | Established | Mortal => Mortal);
    /// The BYE transaction ended.
    bye_ended(Mortal => Morgue);
}

impl InviteState {
    /// Whether the dialog is confirmed: a 2xx was sent or received and no BYE yet.
    #[must_use]
    pub const fn confirmed(self) -> bool {
        matches!(self, Self::Moratorium | Self::Established)
    }

    /// Whether the dialog is early.
    #[must_use]
    pub const fn early(self) -> bool {
        matches!(self, Self::Preparative | Self::Early)
    }

    /// Whether the session is over (BYE sent or received, or the INVITE failed).
    #[must_use]
    pub const fn over(self) -> bool {
        matches!(self, Self::Mortal | Self::Morgue)
    }
}
