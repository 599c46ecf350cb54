//! An authenticator made of `ring`, and what must not pass.

use std::process::Command;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use wsm_api::passkey::{AssertedResponse, CreatedResponse};

use super::*;

const PARTY: &str = "wsm.test";
const ORIGIN: &str = "https://wsm.test:7443";
const ID: &[u8] = b"a credential of sixteen or more";

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, Vec<u8>),
}

impl Pair {
    fn p256() -> Pair {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Pair::P256(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap())
    }

    fn ed25519() -> Pair {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    /// As Windows Hello makes them; `ring` makes none, so openssl does.
    fn rsa() -> Pair {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let path = path.to_str().unwrap();
        openssl(&["genrsa", "-out", path, "2048"]);
        let made = openssl(&[
            "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", path,
        ]);
        let spki = openssl(&["pkey", "-pubout", "-outform", "DER", "-in", path]);
        Pair::Rsa(RsaKeyPair::from_pkcs8(&made).unwrap(), spki)
    }

    fn spki(&self) -> (i32, Vec<u8>) {
        match self {
            Pair::Rsa(_, spki) => (RS256, spki.clone()),
            Pair::P256(pair) => (ES256, [SPKI_P256, pair.public_key().as_ref()].concat()),
            Pair::Ed25519(pair) => (EDDSA, [SPKI_ED25519, pair.public_key().as_ref()].concat()),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Pair::P256(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message).unwrap();
                signed.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair, _) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let made = Command::new("openssl").args(args).output();
    made.expect("openssl is installed").stdout
}

fn client(kind: &str, challenge: &str, origin: &str) -> String {
    let json = serde_json::json!({"type": kind, "challenge": challenge, "origin": origin,
        "crossOrigin": false, "other_keys_can_be_added_here": "x"});
    json.to_string()
}

fn data(party: &str, flags: u8, counter: u32, credential: bool) -> Vec<u8> {
    let mut data = Sha256::digest(party.as_bytes()).to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    if credential {
        data.extend([0; 16]);
        data.extend(u16::try_from(ID.len()).unwrap().to_be_bytes());
        data.extend(ID);
        data.extend([0xa5, 1, 2]);
    }
    data
}

fn register(pair: &Pair, client: &str, data: &[u8]) -> Result<Key, &'static str> {
    let (alg, spki) = pair.spki();
    let new = Created {
        id: text(ID),
        response: CreatedResponse {
            client_data_json: text(client.as_bytes()),
            authenticator_data: text(data),
            public_key: text(&spki),
            public_key_algorithm: alg,
        },
    };
    created(&new, &expected())
}

fn expected() -> Expected<'static> {
    Expected {
        party: PARTY,
        ours: &|origin| origin == ORIGIN,
        challenge: &|challenge| challenge == "asked",
    }
}

fn login(pair: &Pair, key: &Key, client: &str, data: &[u8]) -> Result<Key, &'static str> {
    let mut signed = data.to_vec();
    signed.extend_from_slice(&Sha256::digest(client.as_bytes()));
    shown(key, client, data, &pair.sign(&signed))
}

fn shown(key: &Key, client: &str, data: &[u8], signature: &[u8]) -> Result<Key, &'static str> {
    let shown = Asserted {
        id: text(ID),
        response: AssertedResponse {
            client_data_json: text(client.as_bytes()),
            authenticator_data: text(data),
            signature: text(signature),
            user_handle: None,
        },
    };
    asserted(&shown, key, &expected())
}

const CREATE: &str = "webauthn.create";
const GET: &str = "webauthn.get";
const GOOD: u8 = PRESENT | VERIFIED;

#[test]
fn what_was_made_here_comes_in_here() {
    for pair in [Pair::p256(), Pair::ed25519(), Pair::rsa()] {
        let made = data(PARTY, GOOD | ATTESTED, 0, true);
        let key = register(&pair, &client(CREATE, "asked", ORIGIN), &made).unwrap();
        let asked = client(GET, "asked", ORIGIN);
        let again = login(&pair, &key, &asked, &data(PARTY, GOOD, 7, false)).unwrap();
        assert_eq!(again.counter, 7);
        let backwards = login(&pair, &again, &asked, &data(PARTY, GOOD, 7, false));
        assert!(backwards.is_err(), "a copy counts for itself");
        let silent = data(PARTY, GOOD, 0, false);
        assert!(
            login(&pair, &key, &asked, &silent).is_ok(),
            "many never count"
        );
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key);
    }
}

#[test]
fn nothing_else_does() {
    let pair = Pair::p256();
    let made = data(PARTY, GOOD | ATTESTED, 0, true);
    let right = client(CREATE, "asked", ORIGIN);
    let key = register(&pair, &right, &made).unwrap();
    let good = data(PARTY, GOOD, 1, false);
    for (kind, challenge, origin) in [
        (CREATE, "asked", ORIGIN),
        (GET, "guessed", ORIGIN),
        (GET, "asked", "https://evil.test"),
        (GET, "asked", "https://wsm.test:7443.evil.test"),
    ] {
        let wrong = client(kind, challenge, origin);
        assert!(login(&pair, &key, &wrong, &good).is_err(), "{wrong}");
    }
    let asked = client(GET, "asked", ORIGIN);
    for wrong in [
        data("evil.test", GOOD, 1, false),
        data(PARTY, PRESENT, 1, false),
        data(PARTY, VERIFIED, 1, false),
        data(PARTY, GOOD, 1, false)[..36].to_vec(),
    ] {
        assert!(login(&pair, &key, &asked, &wrong).is_err());
    }
    // Of another key, of other data, or none.
    assert!(login(&Pair::p256(), &key, &asked, &good).is_err());
    let mut signed = good.clone();
    signed.extend_from_slice(&Sha256::digest(asked.as_bytes()));
    let signature = pair.sign(&signed);
    assert!(shown(&key, &asked, &good, &signature).is_ok());
    let mut other = good.clone();
    other[36] = 9;
    assert!(shown(&key, &asked, &other, &signature).is_err());
    assert!(shown(&key, &asked, &good, b"").is_err());
    // And nothing of that kind is kept.
    for wrong in [
        data(PARTY, GOOD, 0, true),
        data(PARTY, GOOD | ATTESTED, 0, false),
        data(PARTY, PRESENT | ATTESTED, 0, true),
        data("evil.test", GOOD | ATTESTED, 0, true),
        made[..60].to_vec(),
    ] {
        assert!(register(&pair, &right, &wrong).is_err());
    }
    assert!(register(&pair, &client(GET, "asked", ORIGIN), &made).is_err());
    // One kind is not taken for another, and half a key verifies nothing.
    let rsa = Pair::rsa();
    let kept = register(&rsa, &right, &made).unwrap();
    assert!(login(&Pair::rsa(), &kept, &asked, &good).is_err());
    assert!(login(&pair, &kept, &asked, &good).is_err());
    let Pair::Rsa(own, spki) = rsa else {
        panic!("it was made so")
    };
    let short = Pair::Rsa(own, spki[..200].to_vec());
    let kept = register(&short, &right, &made).unwrap();
    assert!(login(&short, &kept, &asked, &good).is_err(), "half a key");
    assert!(bytes(&"a".repeat(FIELD_BYTES_MAX + 1)).is_err());
}
