//! An OCSP response as far as people ask for it (RFC 6960, section 4.2.1): is the certificate good, and until when.

use crate::der::{Element, tag, time};

/// What a response says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// responseStatus: 0 is successful.
    pub status: u64,
    /// Of the first certificate it is about: 0 good, 1 revoked, 2 unknown.
    pub certificate: Option<u8>,
    /// Seconds since the epoch.
    pub produced: Option<i64>,
    /// Seconds since the epoch.
    pub this_update: Option<i64>,
    /// Seconds since the epoch.
    pub next_update: Option<i64>,
    /// When it was revoked, in seconds since the epoch.
    pub revoked: Option<i64>,
}

impl Response {
    /// Reads a response; `None` if the outer shape is not that of one.
    pub fn read(der: &[u8]) -> Option<Response> {
        let outer = Element::only(der)?.of(tag::SEQUENCE)?;
        let mut parts = outer.children();
        let status = parts.next()?.of(tag::ENUMERATED)?.small()?;
        let mut out = Response { status, ..Response::default() };
        if let Some(bytes) = parts.next() {
            out.basic(bytes);
        }
        Some(out)
    }

    /// `[0] { OID, OCTET STRING { BasicOCSPResponse } }`
    fn basic(&mut self, explicit: Element<'_>) -> Option<()> {
        let bytes = explicit.children().next()?;
        let response = bytes.children().nth(1)?.of(tag::OCTET_STRING)?;
        let basic = Element::only(response.content)?;
        let data = basic.children().next()?;
        // version [0], responderID [1] or [2], producedAt, responses
        let mut fields = data.children().skip_while(|field| field.tag & 0xc0 == 0x80);
        self.produced = time(fields.next()?);
        let single = fields.next()?.children().next()?;
        let mut fields = single.children();
        fields.next()?;
        let status = fields.next()?;
        self.certificate = Some(status.tag & 0x1f);
        self.revoked = status.children().next().filter(|_| status.tag & 0x1f == 1).and_then(time);
        self.this_update = time(fields.next()?);
        let next = fields.next().filter(|next| next.tag == 0xa0)?;
        self.next_update = next.children().next().and_then(time);
        Some(())
    }

    /// `good`, `revoked`, or why there is no answer.
    pub fn verdict(&self) -> &'static str {
        match (self.status, self.certificate) {
            (0, Some(0)) => "good",
            (0, Some(1)) => "revoked",
            (0, Some(2)) => "unknown",
            (0, _) => "unreadable",
            (1, _) => "malformedRequest",
            (2, _) => "internalError",
            (3, _) => "tryLater",
            (5, _) => "sigRequired",
            (6, _) => "unauthorized",
            _ => "of unknown status",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrap(tag: u8, inner: &[&[u8]]) -> Vec<u8> {
        let inner = inner.concat();
        [&[tag, u8::try_from(inner.len()).unwrap()][..], &inner].concat()
    }

    #[test]
    fn what_it_says() {
        let date = |text: &str| wrap(0x18, &[text.as_bytes()]);
        let single = |status: &[u8]| {
            wrap(0x30, &[&wrap(0x30, &[]), status, &date("20261101000000Z"), &wrap(0xa0, &[&date("20261108000000Z")])])
        };
        let response = |status: &[u8]| {
            let data =
                wrap(0x30, &[&wrap(0xa2, &[&[4, 1, 0]]), &date("20261101000000Z"), &wrap(0x30, &[&single(status)])]);
            let basic = wrap(0x30, &[&data]);
            let bytes = wrap(0x30, &[&[6, 1, 0x2a], &wrap(4, &[&basic])]);
            wrap(0x30, &[&[10, 1, 0], &wrap(0xa0, &[&bytes])])
        };
        let good = Response::read(&response(&[0x80, 0])).unwrap();
        assert_eq!(
            (good.verdict(), good.this_update, good.next_update),
            ("good", Some(1_793_491_200), Some(1_794_096_000))
        );
        let revoked = Response::read(&response(&wrap(0xa1, &[&date("20261102000000Z")]))).unwrap();
        assert_eq!((revoked.verdict(), revoked.revoked), ("revoked", Some(1_793_577_600)));
        assert_eq!(Response::read(&[0x30, 3, 10, 1, 3]).unwrap().verdict(), "tryLater");
        assert_eq!(Response::read(&[0x30, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Response::read(&bytes).map(|read| read.verdict());
        }
    }
}
