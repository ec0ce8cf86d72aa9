//! One cause, one finding: rules whose breach is told under another rule.
//!
//! Some rows restate another one from where they look: a race, a leg of a bridge, a conflict between texts. Whoever reads a
//! trace would learn nothing from hearing it twice, so such a breach is found as the rule named here.

use super::RuleId;

impl RuleId {
    /// The rules as which a breach of this one is found in a trace; empty if it is told under its own name.
    ///
    /// ```
    /// use midcall_proto::rules::RuleId;
    /// assert_eq!(RuleId::VersionStep.told_as(), [RuleId::OriginVersionStep]);
    /// assert!(RuleId::OriginVersionStep.told_as().is_empty());
    /// ```
    #[must_use]
    pub fn told_as(self) -> &'static [Self] {
        TOLD.iter().find(|(rule, _)| *rule == self).map_or(&[], |(_, told)| told)
    }
}

/// Rules and those under which their breaches are told.
const TOLD: &[(RuleId, &[RuleId])] = &[
    // That nobody acknowledges a 2xx is one thing; what its sender does about it another.
    (RuleId::SuccessResentWithoutAck, &[RuleId::NoAckThenBye]),
    // Whether the offer was disliked or forgotten, the ACK lacks its answer.
    (RuleId::UnacceptableOfferInResponse, &[RuleId::AnswerMissingInPrackOrAck]),
    (RuleId::DislikedOfferInSuccess, &[RuleId::AnswerMissingInPrackOrAck]),
    (RuleId::OfferlessReInviteExchange, &[RuleId::InitialOfferMissing, RuleId::AnswerMissingInPrackOrAck]),
    (RuleId::OfferIsWhole, &[RuleId::MediaLineRemoved]),
    // The early re-INVITE that replaces a refused UPDATE, and a 405 that names no methods.
    (RuleId::UpdateRefusedAsMethod, &[RuleId::ReInviteInEarlyDialog, RuleId::AllowMissing]),
    // What a refusal leaves, and when to try again, is the same for both methods.
    (RuleId::FailedUpdateChangesNothing, &[RuleId::FailedReInviteFollowed, RuleId::CallDroppedOnRefusal]),
    (RuleId::UpdateRetryAfter491, &[RuleId::OwnerRetryTime, RuleId::OtherRetryTime]),
    // An interval below 90 s is what makes it hostile.
    (RuleId::HostileInterval, &[RuleId::IntervalTooShort]),
    (RuleId::RefreshDropsTimerTag, &[RuleId::TimerNotListed]),
    (RuleId::RaceInviteResent, &[RuleId::AcceptedServer]),
    (RuleId::RaceCalleeByeAck, &[RuleId::CalleeByeTooEarly]),
    // What a bridge does wrong on a leg is wrong on any dialog.
    (RuleId::FlowTwoLoops, &[RuleId::OfferPingPong]),
    (RuleId::OriginPerLeg, &[RuleId::OriginVersionStep]),
    (RuleId::MediaLineMap, &[RuleId::AnswerShape, RuleId::MediaLineRemoved]),
    (RuleId::UpdateToReInvite, &[RuleId::UpdateAnsweredLate]),
    (RuleId::ReliablePerLeg, &[RuleId::SuccessBeforePrack]),
    (RuleId::ForksBelow, &[RuleId::AnswersDiffer]),
    // Who took a Contact from a request that was refused sends his next one there.
    (RuleId::StateBeforeAuthentication, &[RuleId::TargetAdoptedOnError]),
    (
        RuleId::Amplification,
        &[RuleId::NotifyTooOften, RuleId::IntervalTooShort, RuleId::GlareStorm, RuleId::TwoFinals],
    ),
    (RuleId::VersionStep, &[RuleId::OriginVersionStep]),
    (RuleId::OriginChanged, &[RuleId::OriginVersionStep]),
    (RuleId::VersionNotRaised, &[RuleId::SameVersionOtherBody]),
    (RuleId::RemappedPayload, &[RuleId::PayloadTypeRemapped]),
    (RuleId::HoldAnsweredByHold, &[RuleId::HeldPartyHoldsToo]),
    (RuleId::GlarePractice, &[RuleId::GlareStorm, RuleId::OwnerRetryTime, RuleId::CodesPerLeg]),
    (RuleId::RetryAfterPractice, &[RuleId::OverlapRetryAfter, RuleId::CallDroppedOnRefusal]),
    (RuleId::SuccessAfterReliableAnswer, &[RuleId::AnswersDiffer]),
    (RuleId::EarlyMediaAnswerChanges, &[RuleId::AnswersDiffer]),
    (RuleId::OfferEchoesLast, &[RuleId::OfferIsAnEcho]),
    (RuleId::RefresherRoleConfused, &[RuleId::RefresherPingPong]),
    (RuleId::BumpedRefresh, &[RuleId::RefreshBumpedVersion]),
    (RuleId::RecordRouteMidDialog, &[RuleId::RouteSetChangedMidDialog]),
    (RuleId::AckMisdirected, &[RuleId::AckForSuccessMisbuilt]),
];
