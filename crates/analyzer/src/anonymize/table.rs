//! What replaces what.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use midcall_proto::rng::Rng;

/// Replaces identities, each by the same in everything it is given.
#[derive(Clone, Debug)]
pub struct Anonymizer {
    rng: Rng,
    words: HashMap<Box<str>, Box<str>>,
    /// Words of which the replacement was told: it may have another length.
    told: HashMap<Box<str>, Box<str>>,
    given: HashSet<Box<str>>,
    addresses: HashMap<IpAddr, IpAddr>,
    given_addresses: HashSet<IpAddr>,
    nets: HashMap<IpAddr, IpAddr>,
    given_nets: HashSet<IpAddr>,
    crowded: u64,
}

impl Anonymizer {
    /// One that draws its replacements from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            words: HashMap::new(),
            told: HashMap::new(),
            given: HashSet::new(),
            addresses: HashMap::new(),
            given_addresses: HashSet::new(),
            nets: HashMap::new(),
            given_nets: HashSet::new(),
            crowded: 0,
        }
    }

    /// How many words and addresses came after the table was full: each of them was replaced, but not by the same each time.
    #[must_use]
    pub const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// Tells what replaces an address; its neighbours follow it.
    pub(crate) fn tell_address(&mut self, old: IpAddr, new: IpAddr) {
        if let (IpAddr::V4(old), IpAddr::V4(new)) = (old, new) {
            let net = |address: Ipv4Addr| {
                let [a, b, c, _] = address.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
            };
            self.nets.insert(net(old), net(new));
        }
        self.addresses.insert(old, new);
        self.given_addresses.insert(new);
    }

    /// Tells what replaces a word.
    pub(crate) fn tell_word(&mut self, old: &str, new: &str) {
        self.told.insert(old.to_lowercase().into(), new.into());
        self.given.insert(new.into());
    }

    /// An address with its port.
    pub(super) fn socket(&mut self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip(address.ip()), address.port())
    }

    /// An address: private ones stay private, the others become examples; those that name nobody stay.
    pub(crate) fn ip(&mut self, address: IpAddr) -> IpAddr {
        if let Some(known) = self.addresses.get(&address) {
            return *known;
        }
        let mut fresh = address;
        for _ in 0..ATTEMPTS {
            fresh = match address {
                IpAddr::V4(address) => IpAddr::V4(self.draw_v4(address)),
                IpAddr::V6(address) => IpAddr::V6(self.draw_v6(address)),
            };
            if fresh == address {
                return fresh; // it names nobody
            }
            if !self.given_addresses.contains(&fresh) && !self.addresses.contains_key(&fresh) {
                break;
            }
        }
        if self.addresses.len() < MOST {
            self.addresses.insert(address, fresh);
            self.given_addresses.insert(fresh);
        } else {
            self.crowded += 1;
        }
        fresh
    }

    /// Whether an address was replaced before.
    pub(super) fn knows(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    /// Neighbours stay neighbours: a net of 256 addresses becomes another.
    fn draw_v4(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        if address.is_unspecified()
            || address.is_loopback()
            || address.is_broadcast()
            || address.is_multicast()
        {
            return address;
        }
        let [a, b, c, _] = address.octets();
        let net = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
        let drawn = self.net(net, |own| {
            let [middle, third] = [own.byte(0, 255), own.byte(0, 255)];
            IpAddr::V4(match (a, b) {
                (10, _) => Ipv4Addr::new(10, middle, third, 0),
                (172, 16..=31) => Ipv4Addr::new(172, 16 + middle % 16, third, 0),
                (192, 168) => Ipv4Addr::new(192, 168, third, 0),
                (169, 254) => Ipv4Addr::new(169, 254, third, 0),
                (100, 64..=127) => Ipv4Addr::new(100, 64 + middle % 64, third, 0),
                // The examples first (RFC 5737), then the nets for benchmarks (RFC 2544).
                _ => match EXAMPLES.iter().find(|net| !own.given_nets.contains(&IpAddr::V4(**net))) {
                    Some(net) => *net,
                    None => Ipv4Addr::new(198, 18 + middle % 2, third, 0),
                },
            })
        });
        match drawn {
            IpAddr::V4(net) => {
                let [a, b, c, _] = net.octets();
                Ipv4Addr::new(a, b, c, self.byte(1, 254))
            }
            IpAddr::V6(_) => address,
        }
    }

    fn draw_v6(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            return address;
        }
        if let Some(inner) = address.to_ipv4_mapped() {
            return match self.ip(IpAddr::V4(inner)) {
                IpAddr::V4(inner) => inner.to_ipv6_mapped(),
                IpAddr::V6(inner) => inner,
            };
        }
        let [first, b, c, d, ..] = address.segments();
        let net = IpAddr::V6(Ipv6Addr::new(first, b, c, d, 0, 0, 0, 0));
        let drawn = self.net(net, |own| {
            let group = own.group();
            IpAddr::V6(match first {
                0xfe80..=0xfebf => Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0),
                0xfc00..=0xfdff => Ipv6Addr::new(0xfd00, 0, 0, group, 0, 0, 0, 0),
                _ => Ipv6Addr::new(0x2001, 0xdb8, 0, group, 0, 0, 0, 0),
            })
        });
        match drawn {
            IpAddr::V6(net) => {
                let [a, b, c, d, ..] = net.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, self.group())
            }
            IpAddr::V4(_) => address,
        }
    }

    /// What replaces a net.
    fn net(&mut self, net: IpAddr, draw: impl Fn(&mut Self) -> IpAddr) -> IpAddr {
        if let Some(known) = self.nets.get(&net) {
            return *known;
        }
        let mut fresh = draw(self);
        for _ in 0..ATTEMPTS {
            if !self.given_nets.contains(&fresh) && fresh != net {
                break;
            }
            fresh = draw(self);
        }
        if self.nets.len() < MOST {
            self.nets.insert(net, fresh);
            self.given_nets.insert(fresh);
        }
        fresh
    }

    fn byte(&mut self, least: u8, most: u8) -> u8 {
        least.saturating_add(u8::try_from(self.rng.below(u64::from(most - least) + 1)).unwrap_or(0))
    }

    fn group(&mut self) -> u16 {
        u16::try_from(1 + self.rng.below(0xfffe)).unwrap_or(1)
    }

    /// A word: letters for letters, digits for digits, in the same case; hexadecimal digits stay hexadecimal.
    pub(super) fn word(&mut self, word: &str) -> String {
        if word.is_empty() || word.bytes().all(|byte| byte == b'0') {
            return word.to_owned(); // nobody, as in the nil UUID of RFC 7989
        }
        let key = word.to_lowercase();
        if let Some(told) = self.told.get(key.as_str()) {
            return told.to_string();
        }
        let fresh = match self.words.get(key.as_str()) {
            Some(known) => known.clone(),
            None => self.draw_word(&key),
        };
        // A word of which only the case differs stays one of which only the case differs.
        word.chars()
            .zip(fresh.chars())
            .map(|(old, new)| if old.is_uppercase() { new.to_ascii_uppercase() } else { new })
            .collect()
    }

    /// The replacement of a word, if it is known as an identity.
    pub(super) fn known(&mut self, word: &str) -> Option<String> {
        let key = word.to_lowercase();
        let known = self.words.contains_key(key.as_str()) || self.told.contains_key(key.as_str());
        known.then(|| self.word(word))
    }

    fn draw_word(&mut self, key: &str) -> Box<str> {
        let letters = || key.chars().filter(|letter| letter.is_alphabetic());
        let hex = letters().all(|letter| letter.is_ascii_hexdigit())
            && (key.chars().count() >= 8 || key.chars().any(|letter| letter.is_ascii_digit()));
        let spoken = !hex && letters().count() == key.chars().count();
        let mut fresh = String::new();
        for _ in 0..ATTEMPTS {
            fresh.clear();
            for (at, letter) in key.chars().enumerate() {
                let pool: &[u8] = match letter {
                    '0' if at == 0 => b"0", // as in 0049...
                    _ if letter.is_numeric() && at == 0 => b"123456789",
                    _ if letter.is_numeric() => b"0123456789",
                    _ if hex => b"abcdef",
                    _ if spoken && at % 2 == 0 => b"bdfgklmnprstvz",
                    _ if spoken => b"aeiou",
                    _ => b"abcdefghijklmnopqrstuvwxyz",
                };
                let pick = usize::try_from(self.rng.below(pool.len() as u64)).unwrap_or(0);
                fresh.push(char::from(pool.get(pick).copied().unwrap_or(b'x')));
            }
            if fresh != key
                && !self.given.contains(fresh.as_str())
                && !self.words.contains_key(fresh.as_str())
            {
                break;
            }
        }
        let fresh: Box<str> = fresh.into();
        if self.words.len() < MOST {
            self.words.insert(key.into(), fresh.clone());
            self.given.insert(fresh.clone());
        } else {
            self.crowded += 1;
        }
        fresh
    }
}

/// How often a replacement is drawn anew because another identity has it.
const ATTEMPTS: usize = 200;

/// Nets for examples (RFC 5737).
const EXAMPLES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 0, 2, 0), Ipv4Addr::new(198, 51, 100, 0), Ipv4Addr::new(203, 0, 113, 0)];

/// The most words, and the most addresses, that are remembered.
const MOST: usize = 500_000;
