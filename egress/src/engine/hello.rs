//! What a client begins with: a TLS hello with a name in it, HTTP, or something else.

use rustls::server::Acceptor;

use crate::host::Host;

/// Longest beginning that is kept: a TLS hello has 64 KiB at most.
pub(super) const BYTES_MAX: usize = 72 * 1024;

/// What the first bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hello {
    /// Too few bytes to tell.
    Unfinished,
    /// TLS for this name, or for none.
    Tls(Option<Host>),
    /// HTTP/1.
    Http,
    /// TLS or HTTP that is not in order.
    Malformed(String),
    /// Neither.
    Other,
}

/// Bytes of a request line that begin HTTP/1 requests; a method may be any token, but not every
/// token is HTTP.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
];
/// How HTTP/2 begins.
const HTTP2: &[u8] = b"PRI * HTTP/2";

/// Looks at the bytes so far.
pub(super) fn look(bytes: &[u8]) -> Hello {
    match bytes {
        [] => Hello::Unfinished,
        [0x16, rest @ ..] => match rest {
            [] => Hello::Unfinished,
            [0x03, ..] => tls(bytes),
            _ => Hello::Other,
        },
        _ if begins(bytes, HTTP2) => Hello::Malformed("HTTP/2 without TLS is not passed on".into()),
        _ if METHODS.iter().any(|method| bytes.starts_with(method)) => Hello::Http,
        _ if METHODS.iter().any(|method| method.starts_with(bytes)) || HTTP2.starts_with(bytes) => {
            Hello::Unfinished
        }
        _ => Hello::Other,
    }
}

fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.starts_with(with)
}

fn tls(bytes: &[u8]) -> Hello {
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        match acceptor.read_tls(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Hello::Malformed(format!("the TLS hello: {error}")),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(Host::parse);
                return match name.transpose() {
                    Ok(name) => Hello::Tls(name),
                    Err(bad) => Hello::Malformed(format!("the name in the TLS hello: {bad}")),
                };
            }
            Err((error, _)) => return Hello::Malformed(format!("the TLS hello: {error}")),
        }
    }
    Hello::Unfinished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_told_apart() {
        for (bytes, hello) in [
            (&b""[..], Hello::Unfinished),
            (b"G", Hello::Unfinished),
            (b"GET / HTTP/1.1\r\n", Hello::Http),
            (b"GETX", Hello::Other),
            (b"SSH-2.0-x", Hello::Other),
            (b"PRI ", Hello::Unfinished),
            (&[0x16], Hello::Unfinished),
            (&[0x16, 0x03, 0x01, 0x00], Hello::Unfinished),
        ] {
            assert_eq!(look(bytes), hello, "{bytes:?}");
        }
        assert!(matches!(look(b"PRI * HTTP/2.0\r\n"), Hello::Malformed(_)));
        // A server's hello, not a client's.
        let wrong = [0x16, 3, 3, 0, 4, 2, 0, 0, 0];
        assert!(matches!(look(&wrong), Hello::Malformed(_)));
    }

    /// The same hello, whole and in pieces: a name is seen when the last byte is there.
    #[test]
    fn a_hello_in_pieces_is_read_to_its_end() {
        let hello = client_hello("Allowed.example", 20);
        for length in 0..hello.len() {
            assert_eq!(look(&hello[..length]), Hello::Unfinished, "{length}");
        }
        let name = Host::parse("allowed.example").unwrap();
        assert_eq!(look(&hello), Hello::Tls(Some(name)));
        assert!(matches!(look(&client_hello("a b", 1)), Hello::Malformed(_)));
    }

    /// A TLS 1.2 hello for a name, its handshake message cut into `records`.
    fn client_hello(name: &str, records: usize) -> Vec<u8> {
        let sized = |bytes: Vec<u8>| {
            let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
            out.extend(bytes);
            out
        };
        let mut entry = vec![0];
        entry.extend(sized(name.as_bytes().to_vec()));
        let mut extensions = vec![0, 0];
        extensions.extend(sized(sized(entry)));
        extensions.extend([0, 13, 0, 4, 0, 2, 4, 3]); // signature algorithms
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
        body.extend(sized(extensions));
        let mut message = vec![1, 0];
        message.extend(sized(body));
        let size = message.len().div_ceil(records);
        let mut out = Vec::new();
        for piece in message.chunks(size) {
            out.extend([0x16, 3, 1]);
            out.extend(sized(piece.to_vec()));
        }
        out
    }
}
