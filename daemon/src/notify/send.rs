//! One message to one channel, once.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use wsm_egress::config::HostConfig;
use wsm_egress::config::notify::Notify;

use super::event::Kind;
use super::place::Place;
use super::post::{Answer, PostError, post};
use super::push::endpoint;
use super::push::seal::Receiver;
use super::{Notifier, mail};
use crate::store::{ChannelRow, Delivery, now_ms};

/// What a webhook's signing secret begins with (standardwebhooks.com).
pub(crate) const WEBHOOK_PREFIX: &str = "whsec_";

/// What push services take as `Topic` (RFC 8030, 5.4).
const TOPIC_BYTES_MAX: usize = 32;

impl Notifier {
    /// Sends it, by the host's configuration as it is now.
    pub(super) async fn send(
        &self,
        etc: &Path,
        channel: &ChannelRow,
        delivery: &Delivery,
    ) -> Result<Answer, PostError> {
        let config = HostConfig::load(etc).map_err(|bad| PostError::Away(bad.to_string()))?;
        let config = config.notify;
        let keys = self.keys.as_ref().map_err(|e| PostError::Away(e.clone()))?;
        let secret = keys.open_sealed(&channel.id, &channel.secret);
        let lost = || PostError::Refused("its keys can't be read: add it again".to_owned());
        let secret = secret.ok_or_else(lost)?;
        let page = self.page_of(channel, &config);
        let message = &delivery.message;
        match channel.kind.as_str() {
            "push" => self.push(&config, channel, delivery, &secret, page).await,
            "ntfy" => {
                let (place, topic) = ntfy(&channel.address).map_err(PostError::Refused)?;
                let mut headers = vec![("content-type", "application/json".to_owned())];
                if !secret.is_empty() {
                    headers.push(("authorization", format!("Bearer {secret}")));
                }
                let body = message.ntfy(&topic, page);
                post(&place, &config.permits, headers, body).await
            }
            "webhook" => {
                let place = Place::parse(&channel.address).map_err(PostError::Refused)?;
                let body = message.webhook(&channel.user, page);
                let id = format!("{}-{}", channel.id, delivery.id);
                let headers = signed(&secret, &id, now_ms() / 1000, &body)?;
                post(&place, &config.permits, headers, body).await
            }
            "email" => match &config.smtp {
                Some(smtp) => mail::send(smtp, etc, &channel.address, message, page).await,
                None => Err(PostError::Refused(
                    "this host sends no mail: config.toml has no [notify.smtp]".to_owned(),
                )),
            },
            other => Err(PostError::Refused(format!("{other} is no kind of channel"))),
        }
    }

    /// What links begin with: the page that subscribed, or what the host says.
    fn page_of<'a>(&'a self, channel: &'a ChannelRow, config: &'a Notify) -> Option<&'a str> {
        let own = Some(channel.page.as_str()).filter(|page| !page.is_empty());
        own.or(config.url.as_deref()).or(self.page.as_deref())
    }

    async fn push(
        &self,
        config: &Notify,
        channel: &ChannelRow,
        delivery: &Delivery,
        secret: &str,
        page: Option<&str>,
    ) -> Result<Answer, PostError> {
        // What root takes from the list, gets nothing any more.
        let place = endpoint::parse(&channel.address, config).map_err(PostError::Refused)?;
        let refused = |why: String| PostError::Refused(why);
        let (key, auth) = secret.split_once(' ').unwrap_or_default();
        let receiver = Receiver::parse(key, auth).map_err(|e| refused(e.to_string()))?;
        let body = delivery.message.push(page.unwrap_or_default());
        let body = receiver.seal(&body).map_err(|e| refused(e.to_string()))?;
        let now = now_ms();
        let contact = match (&config.contact, page) {
            (Some(contact), _) => contact.clone(),
            (None, Some(page)) if page.starts_with("https://") => page.to_owned(),
            (None, _) => "https://localhost/".to_owned(),
        };
        let keys = self.keys.as_ref().map_err(|e| refused(e.clone()))?;
        let signed = keys.vapid.sign(&place.origin(), &contact, now / 1000);
        let ttl = delivery.expires_ms.saturating_sub(now) / 1000;
        let mut headers = vec![
            ("authorization", signed.map_err(refused)?),
            ("content-encoding", "aes128gcm".to_owned()),
            ("content-type", "application/octet-stream".to_owned()),
            ("ttl", ttl.to_string()),
            ("urgency", urgency(delivery.message.kind()).to_owned()),
        ];
        if delivery.topic.len() <= TOPIC_BYTES_MAX {
            headers.push(("topic", delivery.topic.clone()));
        }
        post(&place, &config.permits, headers, body).await
    }
}

/// How soon a phone that saves power shall wake (RFC 8030, 5.3).
fn urgency(kind: Kind) -> &'static str {
    match kind {
        Kind::Over => "low",
        Kind::Finished | Kind::Limit => "normal",
        _ => "high",
    }
}

/// The server and the topic of `https://SERVER/TOPIC`.
///
/// # Errors
/// It is another thing.
pub(crate) fn ntfy(address: &str) -> Result<(Place, String), String> {
    let mut place = Place::parse(address)?;
    let (root, topic) = place.path.rsplit_once('/').unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if topic.is_empty() || topic.len() > 64 || !topic.bytes().all(plain) {
        return Err("the address of an ntfy topic is https://SERVER/TOPIC".to_owned());
    }
    let topic = topic.to_owned();
    place.path = format!("{root}/");
    Ok((place, topic))
}

/// Headers of a signed message (standardwebhooks.com): who has the secret can tell that it is ours,
/// whole, and not from long ago.
fn signed(
    secret: &str,
    id: &str,
    now_s: u64,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, PostError> {
    let lost = || PostError::Refused("its secret can't be read: add it again".to_owned());
    let key = secret.strip_prefix(WEBHOOK_PREFIX).ok_or_else(lost)?;
    let key = STANDARD.decode(key).map_err(|_| lost())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [format!("{id}.{now_s}.").as_bytes(), body].concat();
    let signature = STANDARD.encode(hmac::sign(&key, &signed));
    Ok(vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now_s.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_standard_webhooks() {
        let headers = signed(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let signature = &headers.unwrap()[3].1;
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_topic_is_the_end_of_its_address() {
        let (place, topic) = ntfy("https://ntfy.example/sub/wsm-ada").unwrap();
        assert_eq!((place.path.as_str(), topic.as_str()), ("/sub/", "wsm-ada"));
        for wrong in ["https://ntfy.example", "https://ntfy.example/a?b", "x"] {
            assert!(ntfy(wrong).is_err(), "{wrong}");
        }
    }
}
