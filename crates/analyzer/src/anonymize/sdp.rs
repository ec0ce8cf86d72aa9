//! A line of a session description without identities.

use super::Anonymizer;

impl Anonymizer {
    /// A line of a description.
    pub(crate) fn sdp_line(&mut self, line: &str) -> String {
        let Some((letter, value)) = line.split_once('=') else { return self.words(line) };
        let fresh = match letter {
            "o" => self.origin(value),
            "s" if matches!(value.trim(), "" | "-") => value.to_owned(),
            "s" | "i" | "u" | "e" | "p" | "k" => self.value(value),
            "c" => self.connection(value),
            "a" => self.attribute(value),
            _ => return line.to_owned(),
        };
        format!("{letter}={fresh}")
    }

    /// User and address go, the numbers stay: they tell what changed.
    fn origin(&mut self, value: &str) -> String {
        let words: Vec<&str> = value.split(' ').collect();
        let mut fresh = Vec::with_capacity(words.len());
        for (at, word) in words.iter().enumerate() {
            fresh.push(if at == 0 || at >= 5 { self.value(word) } else { (*word).to_owned() });
        }
        fresh.join(" ")
    }

    fn connection(&mut self, value: &str) -> String {
        match value.rsplit_once(' ') {
            Some((front, address)) => {
                let (address, more) =
                    address.split_once('/').map_or((address, None), |(a, more)| (a, Some(more)));
                let more = more.map(|more| format!("/{more}")).unwrap_or_default();
                format!("{front} {}{more}", self.value(address))
            }
            None => self.value(value),
        }
    }

    fn attribute(&mut self, attribute: &str) -> String {
        let Some((name, value)) = attribute.split_once(':') else { return attribute.to_owned() };
        let fresh = match name.to_ascii_lowercase().as_str() {
            "crypto" => self.behind(value, "inline:", Self::key),
            "ice-ufrag" | "ice-pwd" | "ice-mismatch" | "msid" | "key-mgmt" | "identity" | "zrtp-hash"
            | "path" | "msrp-cema" | "label" | "tls-id" | "dtls-id" | "cname" | "remote-candidates" => {
                self.value(value)
            }
            "fingerprint" => match value.split_once(' ') {
                Some((hash, digits)) => format!("{hash} {}", self.pairs(digits)),
                None => self.pairs(value),
            },
            "candidate" => self.candidate(value),
            "ssrc" => match value.split_once(' ') {
                Some((source, rest)) => match rest.split_once(':') {
                    Some((what, more)) => format!("{source} {what}:{}", self.value(more)),
                    None => value.to_owned(),
                },
                None => value.to_owned(),
            },
            // A port, and where there is one an address.
            "rtcp" => match value.split_once(' ') {
                Some((port, address)) => format!("{port} {}", self.connection(address)),
                None => value.to_owned(),
            },
            name if PROTOCOL_ATTRIBUTES.contains(&name) => value.to_owned(),
            _ => self.words(value),
        };
        format!("{name}:{fresh}")
    }

    fn behind(
        &mut self,
        value: &str,
        mark: &str,
        mut fresh: impl FnMut(&mut Self, &str) -> String,
    ) -> String {
        let mut parts = value.split(mark);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(['|', ' ', ';', '\t']).unwrap_or(part.len());
            let (key, rest) = part.split_at_checked(end).unwrap_or((part, ""));
            out.push_str(mark);
            out.push_str(&fresh(self, key));
            out.push_str(rest);
        }
        out
    }

    /// Base64 of the same length; what stands before the padding stays, so that it still decodes.
    fn key(&mut self, key: &str) -> String {
        let bare = key.trim_end_matches('=');
        let kept = usize::from(bare.len() < key.len());
        let Some((front, end)) = bare.len().checked_sub(kept).and_then(|at| key.split_at_checked(at)) else {
            return self.value(key);
        };
        let fresh: Vec<String> = front.split(['+', '/']).map(|run| self.word(run)).collect();
        let mut signs = front.chars().filter(|letter| matches!(letter, '+' | '/'));
        let mut out = String::new();
        for run in fresh {
            out.push_str(&run);
            out.extend(signs.next());
        }
        out + end
    }

    /// Pairs of digits with colons between them.
    fn pairs(&mut self, digits: &str) -> String {
        let joined: String = digits.chars().filter(char::is_ascii_alphanumeric).collect();
        let fresh = self.word(&joined);
        let mut letters = fresh.chars();
        digits
            .chars()
            .map(|old| if old.is_ascii_alphanumeric() { letters.next().unwrap_or(old) } else { old })
            .collect()
    }

    /// RFC 8839 §5.1: addresses and the user fragment go.
    fn candidate(&mut self, value: &str) -> String {
        let words: Vec<&str> = value.split(' ').collect();
        let mut fresh: Vec<String> = Vec::with_capacity(words.len());
        for (at, word) in words.iter().enumerate() {
            let named = at.checked_sub(1).and_then(|before| words.get(before)).copied().unwrap_or_default();
            let goes = at == 4 || matches!(named, "raddr" | "ufrag" | "pwd");
            fresh.push(if goes { self.value(word) } else { (*word).to_owned() });
        }
        fresh.join(" ")
    }
}

/// Attributes that name nobody: their numbers and words are not those of users.
const PROTOCOL_ATTRIBUTES: [&str; 34] = [
    "rtpmap",
    "fmtp",
    "ptime",
    "maxptime",
    "minptime",
    "rtcp-fb",
    "rtcp-xr",
    "rtcp-rsize",
    "extmap",
    "setup",
    "connection",
    "mid",
    "group",
    "curr",
    "des",
    "conf",
    "content",
    "framerate",
    "framesize",
    "imageattr",
    "rid",
    "simulcast",
    "ssrc-group",
    "sctp-port",
    "sctpmap",
    "max-message-size",
    "silencesupp",
    "ecan",
    "quality",
    "orient",
    "ice-options",
    "charset",
    "accept-types",
    "floorctrl",
];
