//! A message by mail, through the server that root chose.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use wsm_egress::config::notify::{Smtp, SmtpTls};

use super::message::Message;
use super::post::{Answer, PostError};

/// How long the server may take for one step.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest address.
const ADDRESS_BYTES_MAX: usize = 254;

/// Reads an address, `PERSON@HOST` and nothing around it.
///
/// # Errors
/// It is none.
pub fn address(text: &str) -> Result<lettre::Address, String> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if text.len() > ADDRESS_BYTES_MAX || !plain {
        return Err("it is no mail address".to_owned());
    }
    text.parse()
        .map_err(|why| format!("it is no mail address: {why}"))
}

/// Sends it.
///
/// # Errors
/// The configuration is wrong, or the server does not take it.
pub async fn send(
    smtp: &Smtp,
    etc: &Path,
    to: &str,
    message: &Message,
    page: Option<&str>,
) -> Result<Answer, PostError> {
    let wrong = |why: String| PostError::Refused(format!("[notify.smtp] in config.toml: {why}"));
    let to = address(to).map_err(PostError::Refused)?;
    let from: Mailbox = smtp.from.parse().map_err(|e| wrong(format!("from: {e}")))?;
    let mail = lettre::Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(&message.title)
        .header(ContentType::TEXT_PLAIN)
        .body(message.mail(page));
    let mut mail = mail.map_err(|e| PostError::Refused(format!("no mail: {e}")))?;
    // Machines shall not answer it (RFC 3834).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    let value = HeaderValue::new(name, "auto-generated".to_owned());
    mail.headers_mut().insert_raw(value);
    let host = smtp.host.to_string();
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let builder = match smtp.tls {
        SmtpTls::Implicit => Transport::relay(&host),
        SmtpTls::Starttls => Transport::starttls_relay(&host),
        SmtpTls::Off => Ok(Transport::builder_dangerous(&host)),
    };
    let builder = builder.map_err(|e| PostError::Away(format!("{host}: {e}")))?;
    let mut builder = builder.port(smtp.port).timeout(Some(TIMEOUT));
    if let Some((user, file)) = &smtp.login {
        let password = fs::read_to_string(etc.join(file));
        let password = password.map_err(|e| wrong(format!("password_file: {e}")))?;
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    let sent = builder.build::<Tokio1Executor>().send(mail).await;
    let sent = sent.map_err(|e| match e.is_permanent() {
        true => PostError::Refused(format!("{host}: {e}")),
        false => PostError::Away(format!("{host}: {e}")),
    })?;
    Ok(Answer {
        status: 200,
        retry_after: None,
        text: sent.message().collect::<Vec<_>>().join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_address() {
        assert!(address("ada@example.org").is_ok());
        for wrong in [
            "",
            "ada",
            "ada@example.org,eve@example.org",
            "Ada <ada@example.org>",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada@@example.org",
        ] {
            assert!(address(wrong).is_err(), "{wrong:?}");
        }
    }
}
