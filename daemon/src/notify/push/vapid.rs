//! Who sends: one key of this host, made once (RFC 8292). Who has subscribed with it gets nothing
//! signed by another, so it is never made anew while it can be read.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

/// How long a signature is good; push services take a day at most.
const LIFETIME_S: u64 = 12 * 3_600;

/// The key.
#[derive(Debug)]
pub struct Vapid {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Vapid {
    /// A new key, as it is kept.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Vec<u8>, String> {
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let made = made.map_err(|_| "the system gives no random numbers".to_owned())?;
        Ok(made.as_ref().to_vec())
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// It is no key.
    pub fn parse(pkcs8: &[u8]) -> Result<Vapid, String> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
        let pair = pair.map_err(|why| format!("it is no key: {why}"))?;
        Ok(Vapid { pair, random })
    }

    /// The public half, as browsers want it.
    #[must_use]
    pub fn public(&self) -> String {
        super::encode(self.pair.public_key().as_ref())
    }

    /// Value of the header `Authorization` for a push service: `origin` with its port unless that is
    /// the scheme's own, `contact` who answers for what is sent.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn sign(&self, origin: &str, contact: &str, now_s: u64) -> Result<String, String> {
        let head = json!({ "typ": "JWT", "alg": "ES256" });
        let claims = json!({ "aud": origin, "exp": now_s + LIFETIME_S, "sub": contact });
        let part = |value: &serde_json::Value| super::encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes());
        let signature = signature.map_err(|_| "the system gives no random numbers".to_owned())?;
        let signature = super::encode(signature.as_ref());
        Ok(format!("vapid t={signed}.{signature}, k={}", self.public()))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn others_can_check_who_sent_it() {
        let vapid = Vapid::parse(&Vapid::generate().unwrap()).unwrap();
        let origin = "https://push.example.net:8443";
        let header = vapid
            .sign(origin, "mailto:root@example.org", 1_000)
            .unwrap();
        let (token, key) = header
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(", k="))
            .unwrap();
        assert_eq!(key, vapid.public());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let decode = |text| crate::notify::push::decode(text).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key));
        key.verify(signed.as_bytes(), &decode(signature)).unwrap();
        let claims = decode(signed.split_once('.').unwrap().1);
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], origin);
        assert_eq!(claims["exp"], 1_000 + LIFETIME_S);
        assert_eq!(claims["sub"], "mailto:root@example.org");
    }

    #[test]
    fn what_is_no_key_is_not_taken() {
        let mut key = Vapid::generate().unwrap();
        assert!(Vapid::parse(&key[..key.len() - 1]).is_err());
        key.clear();
        assert!(Vapid::parse(&key).is_err());
    }
}
