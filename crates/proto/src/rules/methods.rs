//! What the methods are for, where several rules ask: one set of methods for each question.

use midcall_wire::Method;

use crate::dialog::MethodSet;

/// Methods that modify a session: their 2xx sets the session timer and the identities, and their collisions end in 491 or 500
/// (RFC 3261 §14.1, RFC 3311 §5.1, RFC 4028 §7, RFC 4916 §4.2).
pub(crate) const MODIFY_SESSION: MethodSet = MethodSet::of(&[Method::Invite, Method::Update]);

/// Requests whose Contact is the new remote target (RFC 3261 §12.2, RFC 3311 §5.1, RFC 6665 §4.4.1; DLG-16).
pub(crate) const REFRESH_TARGET: MethodSet =
    MethodSet::of(&[Method::Invite, Method::Update, Method::Subscribe, Method::Notify, Method::Refer]);

/// Requests whose 2xx has a Contact that is the new remote target.
pub(crate) const REFRESHED_BY_SUCCESS: MethodSet = REFRESH_TARGET.minus(Method::Notify);

/// Requests with which a usage of a dialog may end: the call (RFC 3261 §15), a subscription (RFC 6665 §4.4.1).
pub(crate) const END_USAGES: MethodSet = MethodSet::of(&[Method::Bye, Method::Notify]);
