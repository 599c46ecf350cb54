//! A message that the subscribed browser alone can read (RFC 8291 over RFC 8188), in one record.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// Length of a public key: uncompressed, P-256.
const KEY_BYTES: usize = 65;
/// Length of the secret that browser and sender share.
const AUTH_BYTES: usize = 16;
/// Length of the salt.
const SALT_BYTES: usize = 16;
/// Size of a record; there is one.
const RECORD_BYTES: u32 = 4096;

/// Messages are padded to one of these: their length does not tell what they are about.
const PADDED: [usize; 3] = [512, 1024, 2048];

/// Longest message: one byte marks where the padding begins.
pub const MESSAGE_BYTES_MAX: usize = PADDED[PADDED.len() - 1] - 1;

/// What a browser gave: whom a message is sealed for.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver {
    key: [u8; KEY_BYTES],
    auth: [u8; AUTH_BYTES],
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver(…)")
    }
}

/// Why a message can't be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSeal {
    /// Key or secret.
    #[error("the keys of the subscription are none")]
    Keys,
    /// Message.
    #[error("the message is longer than {MESSAGE_BYTES_MAX} bytes")]
    Long,
    /// The system.
    #[error("the system gives no random numbers")]
    Random,
}

impl Receiver {
    /// Reads both in base64url.
    ///
    /// # Errors
    /// They have not the length of keys. That the point lies on the curve is seen when it is used.
    pub fn parse(p256dh: &str, auth: &str) -> Result<Receiver, BadSeal> {
        let bytes = |text: &str| super::decode(text).ok_or(BadSeal::Keys);
        let key = bytes(p256dh)?.try_into().map_err(|_| BadSeal::Keys)?;
        let auth = bytes(auth)?.try_into().map_err(|_| BadSeal::Keys)?;
        let receiver = Receiver { key, auth };
        // A point that is none is refused when somebody subscribes with it, not at each message.
        receiver.seal(b"")?;
        Ok(receiver)
    }

    /// Seals a message with a key of its own.
    ///
    /// # Errors
    /// The message is too long, or the receiver's key no point of the curve.
    pub fn seal(&self, message: &[u8]) -> Result<Vec<u8>, BadSeal> {
        let random = SystemRandom::new();
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &random);
        let own = own.map_err(|_| BadSeal::Random)?;
        let public = own.compute_public_key().map_err(|_| BadSeal::Random)?;
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt).map_err(|_| BadSeal::Random)?;
        let theirs = UnparsedPublicKey::new(&ECDH_P256, &self.key);
        let sealed = agree_ephemeral(own, &theirs, |shared| {
            self.seal_with(shared, public.as_ref(), salt, &padded(message)?)
        });
        sealed.map_err(|_| BadSeal::Keys)?
    }

    fn seal_with(
        &self,
        shared: &[u8],
        public: &[u8],
        salt: [u8; SALT_BYTES],
        padded: &[u8],
    ) -> Result<Vec<u8>, BadSeal> {
        let mut secret = [0; 32];
        let info = [b"WebPush: info\0".as_slice(), &self.key, public];
        derive(&self.auth, shared, &info, &mut secret)?;
        let (mut key, mut nonce) = ([0; 16], [0; 12]);
        let of_key = [b"Content-Encoding: aes128gcm\0".as_slice()];
        let of_nonce = [b"Content-Encoding: nonce\0".as_slice()];
        derive(&salt, &secret, &of_key, &mut key)?;
        derive(&salt, &secret, &of_nonce, &mut nonce)?;
        let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| BadSeal::Keys)?;
        let mut sealed = padded.to_vec();
        LessSafeKey::new(key)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| BadSeal::Long)?;
        let length = u8::try_from(public.len()).map_err(|_| BadSeal::Keys)?;
        let size = RECORD_BYTES.to_be_bytes();
        Ok([&salt[..], &size, &[length], public, &sealed].concat())
    }
}

/// The message, the mark of the last record, and zeros.
fn padded(message: &[u8]) -> Result<Vec<u8>, BadSeal> {
    let fits = PADDED.into_iter().find(|size| message.len() < *size);
    let mut padded = message.to_vec();
    padded.push(2);
    padded.resize(fits.ok_or(BadSeal::Long)?, 0);
    Ok(padded)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], secret: &[u8], info: &[&[u8]], into: &mut [u8]) -> Result<(), BadSeal> {
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    let length = Length(into.len());
    let derived = key.expand(info, length).map_err(|_| BadSeal::Keys)?;
    derived.fill(into).map_err(|_| BadSeal::Keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        crate::notify::push::decode(text).unwrap()
    }

    const KEY: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn the_example_of_rfc_8291() {
        let receiver = Receiver::parse(KEY, AUTH).unwrap();
        let shared = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let public = bytes(
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
        );
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let message = [
            b"When I grow up, I want to be a watermelon".as_slice(),
            &[2],
        ]
        .concat();
        let sealed = receiver.seal_with(&shared, &public, salt, &message);
        let wanted = concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml",
            "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT",
            "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
        assert_eq!(crate::notify::push::encode(&sealed.unwrap()), wanted);
    }

    #[test]
    fn lengths_do_not_tell_what_it_is_about() {
        let receiver = Receiver::parse(KEY, AUTH).unwrap();
        let length = |bytes: usize| receiver.seal(&vec![b'x'; bytes]).map(|sealed| sealed.len());
        let head = SALT_BYTES + 4 + 1 + KEY_BYTES + 16;
        for (bytes, padded) in [(0, 512), (511, 512), (512, 1024), (2047, 2048)] {
            assert_eq!(length(bytes), Ok(padded + head), "{bytes}");
        }
        assert_eq!(length(2048), Err(BadSeal::Long));
    }

    #[test]
    fn keys_that_are_none_are_refused_when_they_are_given() {
        let zeros = crate::notify::push::encode(&[0; 65]);
        let mut off = bytes(KEY);
        off[40] ^= 1;
        let off = crate::notify::push::encode(&off);
        for (key, auth) in [
            ("", AUTH),
            (KEY, ""),
            (&zeros, AUTH),
            (&off, AUTH),
            (&KEY[1..], AUTH),
            (KEY, "BTBZMqHH6r4Tts7J_aSIgg_x"),
            ("!", "!"),
        ] {
            assert_eq!(Receiver::parse(key, auth).map(|_| ()), Err(BadSeal::Keys));
        }
    }
}
