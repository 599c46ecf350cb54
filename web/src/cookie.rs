//! The session's cookie: read from a request, written into an answer.

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};

/// Its name wherever TLS is spoken, here or in front of us. The prefix makes browsers refuse one
/// that another host, another path or plain HTTP set.
const NAME: &str = "__Host-wsm";

/// Longest value: ours have 52 characters.
const VALUE_BYTES_MAX: usize = 128;

/// How this request's browser keeps the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Jar {
    /// As a cookie that only TLS carries.
    Secure,
    /// Plainly: a browser on this machine, where no TLS is. Ports share cookies there, so the
    /// port is in the name, and the session is good for clients of this machine alone.
    Loopback(u16),
}

impl Jar {
    fn name(&self) -> String {
        match self {
            Jar::Secure => NAME.to_owned(),
            Jar::Loopback(port) => format!("wsm-{port}"),
        }
    }

    /// The header that has the browser keep `value` for so long.
    pub(crate) fn keep(&self, value: &str, seconds: u64) -> HeaderValue {
        let secure = match self {
            Jar::Secure => "; Secure",
            Jar::Loopback(_) => "",
        };
        let name = self.name();
        let line =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&line).expect("letters and digits")
    }

    /// The header that has it forget.
    pub(crate) fn forget(&self) -> HeaderValue {
        self.keep("", 0)
    }

    /// The value that the browser sent; two of one name are none that could be believed.
    pub(crate) fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(COOKIE).iter();
        let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        find(&lines, &self.name())
    }
}

/// The one cookie of this name.
pub(crate) fn find<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    let pairs = lines.iter().flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (found, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        (found == name).then_some(value)
    });
    let value = values.next().filter(|value| {
        let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain && !value.is_empty() && value.len() <= VALUE_BYTES_MAX
    });
    value.filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_its_name_or_none() {
        for (lines, value) in [
            (&["__Host-wsm=abc"][..], Some("abc")),
            (&["a=b; __Host-wsm=abc; c=d"], Some("abc")),
            (&["a=b", "x;__Host-wsm=abc;"], Some("abc")),
            (&[], None),
            (&["__Host-wsm=abc; __Host-wsm=abd"], None),
            (&["__Host-wsm=abc", "__Host-wsm=abc"], None),
            (&["__host-wsm=abc"], None),
            (&["x__Host-wsm=abc; __Host-wsm2=abc"], None),
            (&["__Host-wsm"], None),
            (&["__Host-wsm="], None),
            (&["__Host-wsm=\"abc\""], None),
            (&["__Host-wsm=a b"], None),
            (&["__Host-wsm=a=b"], None),
        ] {
            assert_eq!(find(lines, NAME), value, "{lines:?}");
        }
        let long = format!("__Host-wsm={}", "a".repeat(129));
        assert_eq!(find(&[&long], NAME), None);
    }

    #[test]
    fn what_browsers_are_told() {
        assert_eq!(
            Jar::Secure.keep("abc", 60),
            "__Host-wsm=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            Jar::Loopback(7443).forget(),
            "wsm-7443=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
        );
    }
}
