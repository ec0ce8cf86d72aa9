//! Who sent a message, to whom, in which transaction: what every look at a message begins with, read in one walk.

use midcall_wire::{CSeq, Field, Head, Message, Method, Name, NameAddr, Via};

/// What identifies a message, and the rest of its header lines for whoever goes on.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub(crate) head: Head<'a>,
    /// The method; of the request for a response.
    pub(crate) method: Method,
    /// From, if it is there and can be read; so the others.
    pub(crate) from: Option<NameAddr<'a>>,
    pub(crate) to: Option<NameAddr<'a>>,
    pub(crate) from_tag: Option<&'a str>,
    pub(crate) to_tag: Option<&'a str>,
    pub(crate) cseq: Option<CSeq<'a>>,
    /// CSeq as it stands.
    pub(crate) cseq_text: Option<&'a str>,
    pub(crate) vias: Vias<'a>,
    /// Call-ID as it stands.
    pub(crate) call_id: Option<&'a str>,
    /// RSeq as it stands.
    pub(crate) rseq_text: Option<&'a str>,
}

/// The Via values of a message.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Vias<'a> {
    /// The text of the first, the newest, and what can be read of it.
    pub(crate) top: &'a str,
    pub(crate) hop: Option<Via<'a>>,
    /// The text of the last, which the sender itself wrote.
    pub(crate) last: &'a str,
    pub(crate) count: u8,
    /// Whether a value that says nothing stands before them.
    behind_nothing: bool,
}

impl<'a> Envelope<'a> {
    /// Reads it off a message.
    pub fn read<B: AsRef<[u8]>>(message: &'a Message<B>) -> Self {
        let head = message.head();
        let [mut from, mut to]: [Option<Field<'_>>; 2] = [None; 2];
        let [mut cseq, mut rseq, mut call_id]: [Line<'_>; 3] = [None; 3];
        let mut vias = Vias::default();
        for field in head.fields() {
            let line = match field.name() {
                Name::Via => {
                    field.elements().for_each(|value| vias.add(value));
                    continue;
                }
                Name::From => {
                    from.get_or_insert(field);
                    continue;
                }
                Name::To => {
                    to.get_or_insert(field);
                    continue;
                }
                Name::CSeq => &mut cseq,
                Name::RSeq => &mut rseq,
                Name::CallId => &mut call_id,
                _ => continue,
            };
            // The first line counts, also where it is not even text.
            line.get_or_insert_with(|| field.text());
        }
        vias.hop = Via::parse(vias.top).ok();
        let [from, to] = [from, to].map(|line| line?.address());
        let cseq_text = cseq.flatten();
        let cseq = cseq_text.and_then(|text| CSeq::parse(text).ok());
        let method = match cseq.filter(|_| !message.is_request()) {
            Some(cseq) => cseq.method,
            None => message.method(),
        };
        Self {
            head,
            method,
            from,
            to,
            from_tag: from.and_then(|from| from.tag()),
            to_tag: to.and_then(|to| to.tag()),
            cseq,
            cseq_text,
            vias,
            call_id: call_id.flatten(),
            rseq_text: rseq.flatten(),
        }
    }

    /// The header lines.
    #[must_use]
    pub const fn head(&self) -> Head<'a> {
        self.head
    }

    /// The method; of the request for a response.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// CSeq, if it is there and can be read.
    #[must_use]
    pub const fn cseq(&self) -> Option<CSeq<'a>> {
        self.cseq
    }

    /// The tag in To.
    #[must_use]
    pub const fn to_tag(&self) -> Option<&'a str> {
        self.to_tag
    }

    /// The branch of the top Via.
    pub(crate) fn branch(&self) -> Option<&'a str> {
        self.vias.hop.filter(|_| !self.vias.behind_nothing).and_then(|via| via.branch())
    }
}

impl<'a> Vias<'a> {
    fn add(&mut self, value: &'a str) {
        if value.is_empty() {
            self.behind_nothing |= self.count == 0;
            return;
        }
        if self.count == 0 {
            self.top = value;
        }
        self.last = value;
        self.count = self.count.saturating_add(1);
    }
}

/// The first line of a name, and its text if it is one.
type Line<'a> = Option<Option<&'a str>>;
