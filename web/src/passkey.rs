//! What an authenticator says, judged. Pure: bytes in, a key or an answer out.
//!
//! Attestation is not asked for, so a registration is believed as far as the session that makes it;
//! a login stands on the signature alone.

pub(crate) mod challenges;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wsm_api::passkey::{Asserted, Created};

/// COSE numbers of the signatures that are understood, the best first.
pub(crate) const ALGORITHMS: [i32; 3] = [EDDSA, ES256, RS256];
const EDDSA: i32 = -8;
const ES256: i32 = -7;
const RS256: i32 = -257;

/// Longest field: a key of RSA and its signature are far shorter.
const FIELD_BYTES_MAX: usize = 4096;

/// Longest id of a credential, as WebAuthn bounds it.
const ID_BYTES_MAX: usize = 1023;

/// Hash of the party, flags, counter.
const HEAD_BYTES: usize = 37;

/// Flags: the user was there, was verified, a credential follows.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// What stands before the key itself in a `SubjectPublicKeyInfo` of each kind.
const SPKI_ED25519: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 3, 1, 7, 3, 0x42, 0,
];
const SPKI_RSA_2048: &[u8] = &[
    0x30, 0x82, 1, 0x22, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 3,
    0x82, 1, 0x0f, 0,
];

/// A passkey's public half, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Its id, base64url.
    pub(crate) id: String,
    /// COSE number of its signatures.
    alg: i32,
    /// The key as its kind writes it, base64url.
    key: String,
    /// How often it signed, as far as it tells.
    counter: u32,
}

/// What must hold besides.
pub(crate) struct Expected<'a> {
    /// Name of this host.
    pub(crate) party: &'a str,
    /// Whether an origin is ours.
    pub(crate) ours: &'a dyn Fn(&str) -> bool,
    /// Whether a challenge is ours, good, and for this; it is used up by asking.
    pub(crate) challenge: &'a dyn Fn(&str) -> bool,
}

/// The ceremony, as the browser tells it.
#[derive(Debug, Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// Judges a new passkey.
///
/// # Errors
/// Why not, for the log and the person who makes it.
pub(crate) fn created(new: &Created, expected: &Expected<'_>) -> Result<Key, &'static str> {
    let said = &new.response;
    client_data(&said.client_data_json, "webauthn.create", expected)?;
    let data = bytes(&said.authenticator_data)?;
    let (flags, counter) = authenticator_data(&data, expected.party)?;
    if flags & ATTESTED == 0 {
        return Err("there is no credential in it");
    }
    // AAGUID, length, id; the key that follows stands in the other field too.
    let length = data.get(HEAD_BYTES + 16..HEAD_BYTES + 18);
    let length = length.ok_or("it is cut off")?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let id = data.get(HEAD_BYTES + 18..HEAD_BYTES + 18 + length);
    let id = id.filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
    if bytes(&new.id)? != id.ok_or("it is cut off")? {
        return Err("its id is another one");
    }
    let spki = bytes(&said.public_key)?;
    let (prefix, length) = match said.public_key_algorithm {
        EDDSA => (SPKI_ED25519, Some(32)),
        ES256 => (SPKI_P256, Some(65)),
        RS256 => (SPKI_RSA_2048, None),
        _ => return Err("it signs in a way that is not understood"),
    };
    let key = spki.strip_prefix(prefix).ok_or("its key can't be read")?;
    if length.is_some_and(|length| length != key.len()) {
        return Err("its key can't be read");
    }
    Ok(Key {
        id: new.id.clone(),
        alg: said.public_key_algorithm,
        key: text(key),
        counter,
    })
}

/// Judges a login with a passkey: the key as it is to be kept from now on.
///
/// # Errors
/// Why not, for the log alone.
pub(crate) fn asserted(
    shown: &Asserted,
    key: &Key,
    expected: &Expected<'_>,
) -> Result<Key, &'static str> {
    let said = &shown.response;
    let client = client_data(&said.client_data_json, "webauthn.get", expected)?;
    let data = bytes(&said.authenticator_data)?;
    let (_, counter) = authenticator_data(&data, expected.party)?;
    let kind: &dyn VerificationAlgorithm = match key.alg {
        EDDSA => &ED25519,
        ES256 => &ECDSA_P256_SHA256_ASN1,
        RS256 => &RSA_PKCS1_2048_8192_SHA256,
        _ => return Err("it signs in a way that is not understood"),
    };
    let mut signed = data;
    signed.extend_from_slice(&Sha256::digest(&client));
    UnparsedPublicKey::new(kind, bytes(&key.key)?)
        .verify(&signed, &bytes(&said.signature)?)
        .map_err(|_| "the signature is not its")?;
    // One that counts never goes back: if it does there are two of it.
    if (counter, key.counter) != (0, 0) && counter <= key.counter {
        return Err("it counts backwards: it was copied");
    }
    Ok(Key {
        counter,
        ..key.clone()
    })
}

/// What the browser signed or sent, checked.
fn client_data(
    encoded: &str,
    kind: &str,
    expected: &Expected<'_>,
) -> Result<Vec<u8>, &'static str> {
    let json = bytes(encoded)?;
    let data: ClientData = serde_json::from_slice(&json).map_err(|_| "it can't be read")?;
    if data.r#type != kind {
        return Err("it is of another ceremony");
    }
    if data.cross_origin || !(expected.ours)(&data.origin) {
        return Err("it was made on another page");
    }
    if !(expected.challenge)(&data.challenge) {
        return Err("it answers no question of ours, or too late");
    }
    Ok(json)
}

/// Flags and counter of what is meant for this host.
fn authenticator_data(data: &[u8], party: &str) -> Result<(u8, u32), &'static str> {
    let head = data.first_chunk::<HEAD_BYTES>().ok_or("it is cut off")?;
    let (hash, rest) = head.split_at(32);
    if hash != Sha256::digest(party.as_bytes()).as_slice() {
        return Err("it is for another host");
    }
    let flags = rest[0];
    if flags & PRESENT == 0 || flags & VERIFIED == 0 {
        return Err("nobody was verified");
    }
    let counter = u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]);
    Ok((flags, counter))
}

/// Of base64url without padding.
pub(crate) fn bytes(encoded: &str) -> Result<Vec<u8>, &'static str> {
    if encoded.len() > FIELD_BYTES_MAX {
        return Err("it is too long");
    }
    URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| "it is no base64url")
}

/// As base64url without padding.
pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
