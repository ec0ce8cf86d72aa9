//! The names of all rules.

/// Declares [`RuleId`]: one name in words for each code, in the order of the table.
macro_rules! rule_ids {
    ($($name:ident $code:literal,)*) => {
        /// The name of a rule, in words. `rule()` gives its row, printing it gives its code.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum RuleId {
            $(#[doc = concat!("The rule ", $code, ".")] $name,)*
        }

        impl RuleId {
            /// How many rules there are.
            pub const COUNT: usize = [$($code),*].len();
        }

        /// The codes as they stand beside the names, to compare with the table.
        #[cfg(test)]
        pub(super) const CODES: &[(RuleId, &str)] = &[$((RuleId::$name, $code)),*];
    };
}

rule_ids! {
    // Dialog identity and state: what names a dialog, and what it remembers.
    DialogKey "DLG-01",
    TagCaseChanged "DLG-02",
    TagNotRandom "DLG-03",
    WhatMakesADialog "DLG-04",
    ToTagChanged "DLG-05",
    RecordRouteNotCopied "DLG-06",
    RouteSetNotReversed "DLG-07",
    AckToOldContact "DLG-08",
    RequestUriAndRoute "DLG-09",
    RouteSetChangedMidDialog "DLG-10",
    CSeqNotIncremented "DLG-11",
    CSeqTooLow "DLG-12",
    CSeqPerDirection "DLG-13",
    CSeqOutOfRange "DLG-14",
    AckOutsideCSeqOrder "DLG-15",
    WhatRefreshesTheTarget "DLG-16",
    TargetAdoptedOnError "DLG-17",
    TargetFromUnreliableProvisional "DLG-18",
    TargetRolledBack "DLG-19",
    TargetMovedByResponse "DLG-20",
    TargetRefreshMixedWithChange "DLG-21",
    ContactMissing "DLG-22",
    ConnectedIdentity "DLG-23",
    NoSuchDialog "DLG-24",
    EarlyDialogsEnd "DLG-25",
    CalleeByeTooEarly "DLG-26",
    ForksAreSeparate "DLG-27",
    SecondSuccessNotAcked "DLG-28",
    EarlyDialogTerminated "DLG-29",
    DialogOutlivesUsage "DLG-30",
    LatestAllowIgnored "DLG-31",
    SessionOverAtBye "DLG-32",
    PeerWithoutTag "DLG-33",
    DialogHeadersWrong "DLG-34",
    FromChangeListed "DLG-35",
    // Transactions: retransmission, matching, ACK, CANCEL and timers.
    InviteNeverAnswered "TX-01",
    InviteResentAfterProvisional "TX-02",
    AckForFailureHasNewBranch "TX-03",
    TimerD "TX-04",
    AcceptedClient "TX-05",
    AcceptedServer "TX-06",
    SuccessResentWithoutAck "TX-07",
    NoAckThenBye "TX-08",
    AckForSuccessMisbuilt "TX-09",
    AcceptedIsDone "TX-10",
    StrayResponse "TX-11",
    TransportErrorKeepsServer "TX-12",
    FailureResentWithoutAck "TX-13",
    TryingInTime "TX-14",
    NonInviteTimers "TX-15",
    ProvisionalToNonInvite "TX-16",
    TimeoutSentToNonInvite "TX-17",
    NonInviteFinalChanged "TX-18",
    TransactionMatching "TX-19",
    BranchWithoutCookie "TX-20",
    CancelNotAllowed "TX-21",
    CancelChallengedOrUnanswered "TX-22",
    CancelNeverHonoured "TX-23",
    UnknownCodes "TX-24",
    ProvisionalEveryMinute "TX-25",
    RequestTooBigForUdp "TX-26",
    MergedRequest "TX-27",
    ResendRepeatsProvisional "TX-28",
    ResponseHeadersWrong "TX-29",
    ResponseSentElsewhere "TX-30",
    ContentLength "TX-31",
    FailoverCopy "TX-32",
    ExpiresInInvite "TX-33",
    MandatoryHeaderMissing "TX-34",
    // UPDATE: when it may carry an offer and how it must be answered.
    UpdateHasNoAck "UP-01",
    UpdateNotAllowed "UP-02",
    UpdateNotListed "UP-03",
    UpdateOrReInvite "UP-04",
    EarlyUpdateByCallerTooSoon "UP-05",
    EarlyUpdateByCallerBeforePrack "UP-06",
    EarlyUpdateByCalleeTooSoon "UP-07",
    EarlyUpdateByCalleeBeforeAnswer "UP-08",
    UpdateWhileOfferOpen "UP-09",
    UpdateWithoutSdpIsFree "UP-10",
    UpdateAnsweredLate "UP-11",
    SecondUpdateWhileFirstOpen "UP-12",
    UpdateCrossesOurOffer "UP-13",
    UpdateBeforeWeAnswered "UP-14",
    FailedUpdateChangesNothing "UP-15",
    UpdateRetryAfter491 "UP-16",
    UpdatedContactReverts "UP-17",
    UpdateGotProvisionalOrCancel "UP-18",
    UpdateRefusedAsMethod "UP-19",
    UpdateInOneFork "UP-20",
    UpdateInsidePendingReInvite "UP-21",
    UpdateOvertakesProvisional "UP-22",
    // Glare: two changes that meet, and how both sides get out of it.
    OwnerRetryTime "GL-01",
    OtherRetryTime "GL-02",
    CallIdOwner "GL-03",
    RetryRebuiltFromNow "GL-04",
    IntentCheckedAfterGlare "GL-05",
    GlareStorm "GL-06",
    RetryAfterOn491 "GL-07",
    OverlapRetryAfter "GL-08",
    ByeIsNeverGlare "GL-09",
}
