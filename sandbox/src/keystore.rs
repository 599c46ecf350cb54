//! Whom to trust, as Java reads it: it knows no PEM. A key store of its oldest kind (JKS) that holds
//! nothing but certificates, which every Java reads without a password.

/// Begins the file.
const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
/// An entry that is a certificate.
const TRUSTED: u32 = 2;
/// At the end: a sum that only who knows a password looks at.
const SUM: [u8; 20] = [0; 20];

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a PEM text. What is none, or can't be read, is left out.
pub(crate) fn of_pem(pem: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pem);
    let blocks = text.split(BEGIN).skip(1);
    let certificates = blocks.filter_map(|block| decoded(block.split_once(END)?.0));
    let certificates: Vec<_> = certificates.collect();
    let mut store = Vec::new();
    for number in [MAGIC, VERSION, length(certificates.len())] {
        store.extend(number.to_be_bytes());
    }
    for (number, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED.to_be_bytes());
        put_text(&mut store, &format!("authority-{number}"));
        store.extend(0_u64.to_be_bytes()); // when it was put in
        put_text(&mut store, "X.509");
        store.extend(length(certificate.len()).to_be_bytes());
        store.extend(certificate);
    }
    store.extend(SUM);
    store
}

/// A file has at most 2 MiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn put_text(store: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    store.extend(length.to_be_bytes());
    store.extend(text.bytes());
}

/// Base64 with any blanks.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_blanks_and_without() {
        for (text, bytes) in [
            ("aGVsbG8=", &b"hello"[..]),
            ("aGVs\r\n bG8", b"hello"),
            ("/+8=", &[0xff, 0xef]),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["", "a!b", "=", "é"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn certificates_are_counted_and_what_is_none_is_left_out() {
        let pem = format!(
            "# first\n{BEGIN}\naGVsbG8=\n{END}\n-----BEGIN PRIVATE KEY-----\naGVsbG8=\n\
             -----END PRIVATE KEY-----\n{BEGIN}\n!\n{END}\n{BEGIN}\nYWdlbnQ=\n{END}\n{BEGIN}\nYWdl"
        );
        let store = of_pem(pem.as_bytes());
        assert_eq!(
            store[..12],
            [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 2]
        );
        let has = |bytes: &[u8]| store.windows(bytes.len()).any(|window| window == bytes);
        assert!(has(b"\0\x0bauthority-0") && has(b"\0\x0bauthority-1"));
        assert!(has(b"\0\x05X.509\0\0\0\x05hello") && has(b"\0\x05X.509\0\0\0\x05agent"));
        assert_eq!(store.len(), 12 + 2 * (4 + 13 + 8 + 7 + 4 + 5) + 20);
        assert_eq!(of_pem(b"")[8..12], [0; 4]);
    }
}
