//! Registration as a client (RFC 3261 §10), with refresh and digest.

use std::time::Duration;

use bytes::Bytes;
use midcall_wire::{Builder, Name, NameAddr};

use super::core::{Core, Hop, User, address};
use crate::Msg;
use crate::auth::DigestClient;
use crate::event::{Event, RegistrationId, RegistrationState};
use crate::flow::Flow;
use crate::time::Instant;

/// A registration to keep.
#[derive(Clone, Debug)]
pub struct Register {
    /// The registrar's URI, such as `sip:example.com`.
    pub registrar: String,
    /// The expiry to ask for, in seconds.
    pub expires: u32,
}

pub(super) struct Registration {
    id: RegistrationId,
    registrar: String,
    expires: u32,
    call_id: String,
    tag: String,
    cseq: u32,
    flow: Option<Flow>,
    sent: Option<Msg>,
    digest: Option<Box<DigestClient>>,
    tries: u8,
    wanted: bool,
    pub(super) next: Option<Instant>,
    pub(super) over: bool,
}

/// The wait after a failed registration, doubled up to an hour (RFC 3261 §21.5.4 leaves it open).
const RETRY: Duration = Duration::from_secs(30);

impl Registration {
    pub(super) fn new(core: &mut Core, id: RegistrationId, register: Register) -> Self {
        Self {
            id,
            registrar: register.registrar,
            expires: register.expires,
            call_id: core.rng.token(96),
            tag: core.rng.token(64),
            cseq: 0,
            flow: None,
            sent: None,
            digest: core.digest(),
            tries: 0,
            wanted: true,
            next: None,
            over: false,
        }
    }

    /// Sends REGISTER now.
    pub(super) fn send(&mut self, core: &mut Core, now: Instant, credentials: Vec<(Name, String)>) {
        let next = core.config.outbound_proxy.clone().unwrap_or_else(|| self.registrar.clone());
        let flow = match core.hop(&next, self.flow.as_ref()) {
            Hop::Known(flow) => flow,
            Hop::Name { host, port, transport } => {
                core.resolve(host, port, transport, None, Some(self.id));
                return;
            }
            Hop::Unreachable => {
                self.fail(core, now, 503);
                return;
            }
        };
        self.flow = Some(flow);
        self.cseq += 1;
        let via = core.via(&flow);
        let identity = core.identity_value(None);
        let expires = if self.wanted { self.expires } else { 0 };
        let mut message = Builder::request("REGISTER", &self.registrar)
            .header(Name::Via, via)
            .header(Name::MaxForwards, 70)
            .header(Name::From, format_args!("{identity};tag={}", self.tag))
            .header(Name::To, &identity)
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, format_args!("{} REGISTER", self.cseq))
            .header(Name::Contact, format_args!("{};expires={expires}", core.contact(&flow, false)))
            .header(Name::Expires, expires)
            .header(Name::Allow, core.allow_text())
            .header(Name::Supported, core.supported());
        if let Some(proxy) = &core.config.outbound_proxy {
            let route = if proxy.contains(";lr") { proxy.clone() } else { format!("{proxy};lr") };
            message = message.header(Name::Route, address(&route));
        }
        let mut credentials = credentials;
        if let (true, Some(digest)) = (credentials.is_empty(), self.digest.as_deref_mut()) {
            let cnonce = core.rng.next_u64();
            credentials = digest.preemptive("REGISTER", &self.registrar, &[], cnonce);
        }
        for (name, value) in &credentials {
            message = message.header(*name, value);
        }
        if let Some((name, value)) = core.agent_header(true) {
            message = message.header(name, value);
        }
        // Longer than any message may be, by what the application put into it.
        let Ok(message) = Msg::parse(Bytes::from(message.finish())) else { return self.fail(core, now, 513) };
        self.sent = Some(message.clone());
        let client = core.deliver(now, flow, &next, message);
        core.clients.insert(client, User::Registration(self.id));
    }

    /// Removes the registration: REGISTER with expiry 0 (RFC 3261 §10.2.2).
    pub(super) fn remove(&mut self, core: &mut Core, now: Instant) {
        self.wanted = false;
        self.tries = 0;
        self.send(core, now, Vec::new());
    }

    /// A response, or none (`message` is `None`; `status` says what that counts as).
    pub(super) fn answered(&mut self, core: &mut Core, now: Instant, status: u16, message: Option<&Msg>) {
        match (status, message) {
            (100..=199, _) => {}
            (200..=299, Some(message)) => {
                self.tries = 0;
                if !self.wanted {
                    self.over = true;
                    self.tell(core, RegistrationState::Unregistered);
                    return;
                }
                let granted = self.granted(core, message).unwrap_or(self.expires).max(1);
                // Refreshed well before it runs out: at 90 % and at least 5 s earlier where that leaves something.
                let granted = Duration::from_secs(u64::from(granted));
                let early = (granted / 10).max(Duration::from_secs(5)).min(granted / 2);
                self.next = Some(now + (granted - early));
                self.tell(core, RegistrationState::Registered { expires: granted });
            }
            (401 | 407, Some(message)) if self.tries < 3 => {
                self.tries += 1;
                let (Some(digest), Some(sent)) = (self.digest.as_deref_mut(), self.sent.as_ref()) else {
                    self.fail(core, now, status);
                    return;
                };
                let cnonce = core.rng.next_u64();
                match digest.answer(&message.challenges(), sent, "REGISTER", &self.registrar, &[], cnonce) {
                    Ok(credentials) => self.send(core, now, credentials),
                    Err(_) => self.fail(core, now, status),
                }
            }
            (423, Some(message)) if self.tries < 3 => {
                self.tries += 1;
                let least = message.header(Name::MinExpires).and_then(|value| value.trim().parse().ok());
                self.expires = least.unwrap_or(self.expires.saturating_mul(2)).max(self.expires);
                self.send(core, now, Vec::new());
            }
            _ => self.fail(core, now, status),
        }
    }

    /// The expiry that the registrar granted for our Contact.
    fn granted(&self, core: &Core, message: &Msg) -> Option<u32> {
        let ours = self.flow.map(|flow| core.contact(&flow, false))?;
        let ours = NameAddr::parse(&ours).ok()?.uri.to_owned();
        let contact = message.values(Name::Contact).find_map(|value| {
            let contact = NameAddr::parse(value).ok()?;
            let same = contact.uri().ok()?.same(&midcall_wire::Uri::parse(&ours).ok()?);
            if same { contact.params.value("expires").and_then(|expires| expires.parse().ok()) } else { None }
        });
        contact.or_else(|| message.expires().and_then(Result::ok))
    }

    fn fail(&mut self, core: &mut Core, now: Instant, status: u16) {
        let hopeless = matches!(status, 401 | 403 | 404 | 407 | 513) || !self.wanted;
        let retry = (!hopeless).then(|| {
            self.tries = self.tries.saturating_add(1);
            RETRY * 2u32.saturating_pow(u32::from(self.tries.min(7)).saturating_sub(1))
        });
        self.next = retry.map(|retry| now + retry);
        self.over = hopeless;
        self.tell(core, RegistrationState::Failed { status, retry });
    }

    fn tell(&self, core: &mut Core, state: RegistrationState) {
        core.out.push_back(super::io::Output::Event(Event::Registration { registration: self.id, state }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Config, Endpoint, LocalAddr, Output};
    use crate::flow::Transport;

    /// What goes out before the endpoint has nothing more to say.
    fn sent(endpoint: &mut Endpoint) -> Vec<Msg> {
        let mut sent = Vec::new();
        loop {
            match endpoint.poll_output() {
                Output::Transmit(transmit) => sent.extend(Msg::parse(transmit.bytes)),
                Output::Timeout(_) => return sent,
                _ => {}
            }
        }
    }

    #[test]
    fn registering_and_removing_send_one_request_each_at_once() {
        let mut config = Config::new("sip:alice@192.0.2.1");
        let addr = "192.0.2.1:5060".parse().unwrap();
        config.local.push(LocalAddr { transport: Transport::Udp, addr });
        let mut endpoint = Endpoint::new(config, 1);
        let register = Register { registrar: "sip:192.0.2.9".to_owned(), expires: 3_600 };
        let id = endpoint.register(Instant::ZERO, register);
        let made = sent(&mut endpoint);
        assert_eq!(
            made.iter().map(|message| message.header(Name::Expires)).collect::<Vec<_>>(),
            [Some("3600")]
        );
        endpoint.unregister(Instant::ZERO, id);
        let removed = sent(&mut endpoint);
        assert_eq!(
            removed.iter().map(|message| message.header(Name::Expires)).collect::<Vec<_>>(),
            [Some("0")]
        );
    }
}
