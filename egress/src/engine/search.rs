//! Where placeholders stand in what an agent sends: in heads, and in bodies that pass by.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;

use crate::credential::Credentials;

/// What is told of a placeholder in a body.
pub(super) const STRUCK_OUT: &str =
    "its placeholder stood in the body of a request, and was struck out";
/// What a placeholder in a body is overwritten with: the length of the body stays.
const STRUCK: u8 = b'*';

/// Base64 as lenient readers take it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Finds the placeholders of an agent.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Name of the credential, and its placeholder.
    finders: Vec<(String, Finder<'static>)>,
    longest: usize,
}

impl Search {
    pub(super) fn new(credentials: &Credentials) -> Search {
        let finders = credentials.iter().map(|credential| {
            let spec = credential.spec();
            let finder = Finder::new(spec.placeholder.as_bytes()).into_owned();
            (spec.name.clone(), finder)
        });
        let finders: Vec<_> = finders.collect();
        let lengths = finders.iter().map(|(_, finder)| finder.needle().len());
        Search {
            longest: lengths.max().unwrap_or(0),
            finders,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    /// The first credential whose placeholder stands in these bytes, as they are.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<&str> {
        let mut found = self.finders.iter();
        let found = found.find(|(_, finder)| finder.find(bytes).is_some());
        found.map(|(name, _)| name.as_str())
    }

    /// … or percent-encoded.
    pub(super) fn find_in_url(&self, text: &str) -> Option<&str> {
        self.find(text.as_bytes()).or_else(|| {
            let decoded = percent_decoded(text.as_bytes());
            decoded.and_then(|bytes| self.find(&bytes))
        })
    }

    /// … or in one of the forms that headers have.
    pub(super) fn find_in_header(&self, value: &HeaderValue) -> Option<&str> {
        let bytes = value.as_bytes();
        let plain = self.find(bytes);
        let plain = plain.or_else(|| basic(value).and_then(|decoded| self.find(&decoded)));
        plain.or_else(|| percent_decoded(bytes).and_then(|decoded| self.find(&decoded)))
    }

    /// The first credential whose placeholder stands in a header, and that header.
    pub(super) fn find_in_headers(&self, headers: &HeaderMap) -> Option<(&str, String)> {
        headers.iter().find_map(|(name, value)| {
            let found = self.find_in_header(value);
            found.map(|credential| (credential, name.to_string()))
        })
    }
}

/// User and password of a `Basic` value.
pub(super) fn basic(value: &HeaderValue) -> Option<Vec<u8>> {
    let bytes = value.as_bytes();
    let (scheme, rest) = bytes.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    BASE64.decode(rest.trim_ascii()).ok()
}

/// `None` where nothing is encoded.
fn percent_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'%') {
        return None;
    }
    let digit = |byte: Option<&u8>| {
        let digit = char::from(*byte?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    Some(decoded)
}

/// Called with the name of the credential, once per body.
pub(super) type Tell = Box<dyn FnOnce(&str) + Send + Sync>;

/// A body that passes by; placeholders in it are struck out. Nothing is held back: what stands
/// across two pieces is struck out in the second, and half a placeholder says nothing.
pub(super) struct Struck<B> {
    body: B,
    search: Arc<Search>,
    /// The end of what passed, shorter than the longest placeholder.
    tail: Vec<u8>,
    told: Option<Tell>,
}

impl<B> Struck<B> {
    pub(super) fn new(body: B, search: Arc<Search>, told: Tell) -> Struck<B> {
        let (tail, told) = (Vec::new(), Some(told));
        Struck {
            body,
            search,
            tail,
            told,
        }
    }

    pub(super) fn look(&mut self, piece: Bytes) -> Bytes {
        let keep = self.search.longest.saturating_sub(1);
        let before = self.tail.len();
        let mut seam = std::mem::take(&mut self.tail);
        seam.extend_from_slice(&piece[..piece.len().min(keep)]);
        let mut marks = Vec::new();
        for (name, finder) in &self.search.finders {
            let length = finder.needle().len();
            let across = finder.find_iter(&seam).map(|at| (at, at + length));
            let across = across.filter(|(from, to)| *from < before && *to > before);
            let known = marks.len();
            marks.extend(across.map(|(_, to)| 0..to - before));
            marks.extend(finder.find_iter(&piece).map(|at| at..at + length));
            if marks.len() > known
                && let Some(told) = self.told.take()
            {
                told(name);
            }
        }
        // The seam ends with the piece if that is short.
        self.tail = if piece.len() >= keep {
            piece[piece.len() - keep..].to_vec()
        } else {
            seam.split_off(seam.len().saturating_sub(keep))
        };
        if marks.is_empty() {
            return piece;
        }
        let mut changed = BytesMut::from(&piece[..]);
        for mark in marks {
            changed[mark].fill(STRUCK);
        }
        changed.freeze()
    }
}

impl<B> Body for Struck<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map(|frame| {
            let frame = match frame?.map_err(Into::into) {
                Ok(frame) => frame,
                Err(error) => return Some(Err(error)),
            };
            let frame = match frame.into_data() {
                Ok(piece) => return Some(Ok(Frame::data(self.look(piece)))),
                Err(frame) => frame,
            };
            let search = Arc::clone(&self.search);
            let found = frame
                .trailers_ref()
                .and_then(|trailers| search.find_in_headers(trailers));
            let Some((credential, _)) = found else {
                return Some(Ok(frame));
            };
            if let Some(told) = self.told.take() {
                told(credential);
            }
            Some(Err("a placeholder in a trailer".into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::inject::tests::credentials;

    const ONE: &str = "sk-placeholder-0123456789";

    fn search() -> Arc<Search> {
        Arc::new(Search::new(&credentials()))
    }

    /// What passes of a text that comes in these pieces.
    fn passed(text: &[u8], cuts: &[usize]) -> (Vec<u8>, bool) {
        let told = Arc::new(std::sync::Mutex::new(false));
        let tells = Arc::clone(&told);
        let tell: Tell = Box::new(move |_| *tells.lock().unwrap() = true);
        let mut struck = Struck::new((), search(), tell);
        let mut rest = Bytes::copy_from_slice(text);
        let mut out = Vec::new();
        for cut in cuts {
            let piece = rest.split_to((*cut).min(rest.len()));
            out.extend_from_slice(&struck.look(piece));
        }
        out.extend_from_slice(&struck.look(rest));
        let told = *told.lock().unwrap();
        (out, told)
    }

    proptest! {
        /// However a body is cut, no placeholder passes whole, and nothing else is changed.
        #[test]
        fn no_placeholder_passes(
            before in "[a-z0-9-]{0,60}", after in "[a-z0-9-]{0,60}",
            cuts in prop::collection::vec(0_usize..40, 0..12),
        ) {
            let text = format!("{before}{ONE}{after}");
            let (out, told) = passed(text.as_bytes(), &cuts);
            prop_assert!(told);
            prop_assert_eq!(out.len(), text.len());
            prop_assert!(search().find(&out).is_none());
            for (at, (new, old)) in out.iter().zip(text.bytes()).enumerate() {
                let inside = (before.len()..before.len() + ONE.len()).contains(&at);
                prop_assert!(*new == old || inside && *new == STRUCK);
            }
        }

        #[test]
        fn what_is_none_passes_as_it_is(
            text in "(sk-|sk-placeholder-|[a-z0-9]){0,20}",
            cuts in prop::collection::vec(0_usize..40, 0..12),
        ) {
            let (out, told) = passed(text.as_bytes(), &cuts);
            prop_assert!(!told);
            prop_assert_eq!(out, text.into_bytes());
        }
    }

    #[test]
    fn encoded_ones_are_found() {
        let search = search();
        assert_eq!(
            search.find_in_url("/x?k=sk%2Dplaceholder-0123456789"),
            Some("model")
        );
        assert_eq!(search.find_in_url("/x?k=sk-placeholder-012345678"), None);
        let basic = format!("basic {}", BASE64.encode(format!("me:{ONE}")));
        for (value, found) in [
            (ONE, true),
            ("a=b; c=sk%2dplaceholder-0123456789", true),
            (basic.as_str(), true),
            ("Basic !!", false),
            ("%", false),
            ("%zz%2", false),
        ] {
            let value = HeaderValue::from_str(value).unwrap();
            assert_eq!(search.find_in_header(&value).is_some(), found, "{value:?}");
        }
    }
}
