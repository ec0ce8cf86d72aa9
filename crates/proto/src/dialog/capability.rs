//! What a party says it can do: methods (Allow) and option tags (Supported, Require).

use midcall_wire::{Message, Method, Name};

/// A set of methods, as an Allow header lists them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MethodSet(u16);

impl MethodSet {
    /// The set of these methods.
    #[must_use]
    pub const fn of(methods: &[Method]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < methods.len() {
            bits |= 1 << methods[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// Every method.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether it lists the method.
    #[must_use]
    pub const fn has(self, method: Method) -> bool {
        self.has_bit(method as usize)
    }

    /// The same by the method's place in its enum.
    pub(crate) const fn has_bit(self, method: usize) -> bool {
        self.0 & (1 << method) != 0
    }

    /// Adds what the other set lists.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The set without this method.
    #[must_use]
    pub const fn minus(self, method: Method) -> Self {
        Self(self.0 & !(1 << method as u16))
    }

    /// The methods in an Allow value.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let methods = listed(text).filter(|method| !method.is_empty());
        Self(methods.fold(0, |bits, method| bits | (1 << Method::parse(method) as u16)))
    }
}

/// The elements of a comma list of tokens.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    // Byte by byte: they are too short for a search that has to warm up.
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(comma) = text.bytes().position(|byte| byte == b',') else { return Some(text.trim_ascii()) };
        rest = text.get(comma + 1..);
        text.get(..comma).map(str::trim_ascii)
    })
}

macro_rules! options {
    ($($(#[$meta:meta])* $Tag:ident = $text:literal),+ $(,)?) => {
        /// An option tag that midcall knows (RFC 3261 §27.1 registry).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum OptionTag { $($(#[$meta])* $Tag),+ }

        impl OptionTag {
            const ALL: &'static [Self] = &[$(Self::$Tag),+];
            /// The tags as they are written, in the same order.
            const TEXTS: &'static [&'static str] = &[$($text),+];

            /// The tag as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$Tag => $text),+ }
            }
        }
    };
}

options! {
    /// RFC 3262.
    Rel100 = "100rel",
    /// RFC 4028.
    Timer = "timer",
    /// RFC 3891.
    Replaces = "replaces",
    /// RFC 4916.
    FromChange = "from-change",
    /// RFC 4488.
    NoReferSub = "norefersub",
    /// RFC 4538.
    TargetDialog = "tdialog",
    /// RFC 3312.
    Precondition = "precondition",
    /// RFC 7614.
    ExplicitSub = "explicitsub",
    /// RFC 7614.
    NoSub = "nosub",
    /// RFC 5627.
    Gruu = "gruu",
    /// RFC 5626.
    Outbound = "outbound",
    /// RFC 3959.
    EarlySession = "early-session",
    /// RFC 3911.
    Join = "join",
    /// RFC 6228.
    NoEarly199 = "199",
}

impl OptionTag {
    /// The bit of the tag of this text, 0 of another.
    fn parse(text: &str) -> u32 {
        let mut alike = BY_LENGTH.get(text.len()).copied().unwrap_or_default();
        while let Some(tag) = Self::TEXTS.get(alike.trailing_zeros() as usize) {
            // As they are registered, or in other letters.
            if *tag == text || tag.eq_ignore_ascii_case(text) {
                return alike & alike.wrapping_neg();
            }
            alike &= alike - 1;
        }
        0
    }
}

/// The tags of each length, as bits: few have the same.
static BY_LENGTH: [u32; 16] = {
    let mut table = [0; 16];
    let mut tag = 0;
    while tag < OptionTag::TEXTS.len() {
        table[OptionTag::TEXTS[tag].len()] |= 1 << tag;
        tag += 1;
    }
    table
};

/// A set of option tags. Tags midcall does not know are remembered only as a fact.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OptionSet {
    known: u32,
    /// Whether an unknown tag was listed too.
    pub other: bool,
}

impl OptionSet {
    /// The set of these tags.
    #[must_use]
    pub fn of(tags: &[OptionTag]) -> Self {
        Self { known: tags.iter().fold(0, |bits, tag| bits | (1 << *tag as u32)), other: false }
    }

    /// Whether it lists the tag.
    #[must_use]
    pub const fn has(self, tag: OptionTag) -> bool {
        self.known & (1 << tag as u32) != 0
    }

    /// Adds what the other set lists.
    pub fn add(&mut self, other: Self) {
        self.known |= other.known;
        self.other |= other.other;
    }

    /// Adds a tag, chaining.
    #[must_use]
    pub const fn with(mut self, tag: OptionTag) -> Self {
        self.known |= 1 << tag as u32;
        self
    }

    /// The tags that `self` lists and `other` does not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self { known: self.known & !other.known, other: self.other }
    }

    /// Whether it lists nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.known == 0 && !self.other
    }

    /// The known tags in it.
    pub fn tags(self) -> impl Iterator<Item = OptionTag> {
        OptionTag::ALL.iter().copied().filter(move |tag| self.has(*tag))
    }

    /// What all lines of this header of a message list.
    pub fn read<B: AsRef<[u8]>>(message: &Message<B>, name: Name) -> Self {
        let mut set = Self::default();
        for value in message.values(name) {
            set.add(Self::parse(value));
        }
        set
    }

    /// The tags in a list of them.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut set = Self::default();
        for value in listed(text) {
            let known = OptionTag::parse(value);
            set.known |= known;
            set.other |= known == 0 && !value.is_empty();
        }
        set
    }
}

impl std::fmt::Display for OptionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, tag) in self.tags().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(tag.as_str())?;
        }
        Ok(())
    }
}

/// Reads lists, and remembers the last ones: peers repeat theirs in every message, and many have the same.
#[derive(Default, Debug)]
pub(crate) struct Lists {
    methods: Lately<MethodSet>,
    options: Lately<OptionSet>,
}

impl Lists {
    /// One that remembers; the default does not.
    pub(crate) fn remembered() -> Self {
        Self {
            methods: Lately { most: MOST_LISTS, ..Lately::default() },
            options: Lately { most: MOST_LISTS, ..Lately::default() },
        }
    }

    /// The methods in an Allow value.
    pub(super) fn methods(&mut self, text: &str) -> MethodSet {
        self.methods.read(text, MethodSet::parse)
    }

    /// The tags in a list of them.
    pub(super) fn options(&mut self, text: &str) -> OptionSet {
        self.options.read(text, OptionSet::parse)
    }
}

/// The texts read last, and what they say.
#[derive(Debug)]
struct Lately<T> {
    known: Vec<(Box<str>, T)>,
    most: usize,
    /// Which of them goes next.
    oldest: usize,
}

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self { known: Vec::new(), most: 0, oldest: 0 }
    }
}

impl<T: Copy> Lately<T> {
    fn read(&mut self, text: &str, parse: impl FnOnce(&str) -> T) -> T {
        if let Some((_, value)) = self.known.iter().find(|(known, _)| **known == *text) {
            return *value;
        }
        let value = parse(text);
        if text.len() > LONGEST_LIST {
            return value;
        }
        if self.known.len() < self.most {
            self.known.push((text.into(), value));
        } else if let Some(place) = self.known.get_mut(self.oldest) {
            *place = (text.into(), value);
            self.oldest = (self.oldest + 1) % self.most;
        }
        value
    }
}

/// How many lists of each kind are remembered, and up to what length.
const MOST_LISTS: usize = 4;
const LONGEST_LIST: usize = 512;

/// What a party is known to be able to do in one dialog. Any message adds; only INVITE and its 2xx take away (DLG-31).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Capabilities {
    /// Methods listed in Allow; `None` until an Allow was seen.
    pub allow: Option<MethodSet>,
    /// Methods that it refused with 405 or 501, whatever its Allow says (UP-19).
    pub refused: MethodSet,
    /// Option tags listed in Supported.
    pub supported: OptionSet,
}

impl Capabilities {
    /// Whether it takes this method as far as known: listed, and not refused since.
    #[must_use]
    pub fn takes(&self, method: Method) -> bool {
        self.allow.is_some_and(|allow| allow.has(method)) && !self.refused.has(method)
    }
}
