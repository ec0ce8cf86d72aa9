//! What a scripted party remembers of one dialog: just enough to write the next message in it.

use crate::raw::Raw;

/// One dialog, as its scripted party sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The Call-ID.
    pub call_id: String,
    /// Our address of record, as in From or To.
    pub local: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's address of record.
    pub remote: String,
    /// The peer's tag, once it is known.
    pub remote_tag: Option<String>,
    /// Where requests go: the peer's Contact.
    pub target: String,
    /// The Route values of our requests.
    pub route: Vec<String>,
    /// The number of our last request.
    pub cseq: u32,
    /// The number of the peer's last request.
    pub remote_cseq: u32,
    /// Our last INVITE.
    pub invite: Option<Raw>,
    /// The RSeq that we sent last (RFC 3262 §3).
    pub rseq: Option<u32>,
    /// The last reliable provisional response that came: its RSeq and CSeq, for RAck.
    pub reliable: Option<(u32, String)>,
    /// The description that the peer sent last.
    pub remote_sdp: Option<String>,
    /// Whether our INVITE made the dialog, so that we own its Call-ID.
    pub caller: bool,
    /// Whether a 2xx to the first INVITE went either way.
    pub confirmed: bool,
}

impl Leg {
    /// Whether this leg is the dialog of a message we send.
    pub fn sends(&self, raw: &Raw) -> bool {
        let (own, peer) = if raw.is_request() { ("From", "To") } else { ("To", "From") };
        self.call_id == raw.call_id()
            && raw.tag(own) == Some(self.local_tag.as_str())
            && raw.tag(peer) == self.remote_tag.as_deref()
    }

    /// Whether this leg is the dialog of a message that came.
    pub fn receives(&self, raw: &Raw) -> bool {
        let (own, peer) = if raw.is_request() { ("To", "From") } else { ("From", "To") };
        self.call_id == raw.call_id()
            && raw.tag(own) == Some(self.local_tag.as_str())
            && raw.tag(peer) == self.remote_tag.as_deref()
    }

    /// Takes note of a message we sent in this dialog.
    pub fn sent(&mut self, raw: &Raw) {
        if raw.is_request() {
            if !matches!(raw.method(), "ACK" | "CANCEL") {
                self.cseq = self.cseq.max(raw.cseq());
            }
            if raw.method() == "INVITE" {
                self.invite = Some(raw.clone());
            }
        } else if let Some(rseq) = raw.header("RSeq").and_then(|value| value.parse().ok()) {
            self.rseq = Some(rseq);
        }
        self.confirm(raw);
    }

    /// Takes note of a message that came in this dialog.
    pub fn received(&mut self, raw: &Raw) {
        let success = raw.status().is_some_and(|status| (200..300).contains(&status));
        let reliable = raw.header("RSeq").is_some();
        if raw.is_request() {
            if !matches!(raw.method(), "ACK" | "CANCEL") {
                self.remote_cseq = self.remote_cseq.max(raw.cseq());
            }
        } else if raw.method() == "INVITE" && success && !self.confirmed {
            self.route = reversed(&raw.list("Record-Route"));
        }
        if let (Some(rseq), Some(cseq)) = (raw.header("RSeq"), raw.header("CSeq")) {
            self.reliable = rseq.parse().ok().map(|rseq| (rseq, cseq.to_owned()));
        }
        let refreshes = matches!(raw.method(), "INVITE" | "UPDATE" | "SUBSCRIBE" | "NOTIFY" | "REFER");
        if refreshes
            && (raw.is_request() || success || reliable)
            && let Some(contact) = raw.address("Contact")
        {
            contact.clone_into(&mut self.target);
        }
        if let Some(sdp) = raw.sdp() {
            self.remote_sdp = Some(sdp.to_owned());
        }
        self.confirm(raw);
    }

    /// The dialog that a response from one branch of a fork makes (RFC 3261 §12.1.2).
    pub fn forked(&self, response: &Raw) -> Self {
        Self {
            remote_tag: response.tag("To").map(str::to_owned),
            target: response.address("Contact").unwrap_or(&self.target).to_owned(),
            route: reversed(&response.list("Record-Route")),
            ..self.clone()
        }
    }

    fn confirm(&mut self, raw: &Raw) {
        let success = raw.status().is_some_and(|status| (200..300).contains(&status));
        self.confirmed |= raw.method() == "INVITE" && success;
    }
}

fn reversed(values: &[&str]) -> Vec<String> {
    values.iter().rev().map(|value| (*value).to_owned()).collect()
}
