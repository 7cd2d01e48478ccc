//! `signature.json`: a detached Ed25519 signature (RFC 8032) over the bytes of a version's manifest.
//!
//! The manifest holds the digests of all files, so who signed it signed the bundle. Always holds: a parsed key is one of
//! Ed25519, a parsed signature has 64 bytes. Refuses: any other algorithm, and printing a secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::version::as_refusal;
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::manifest::{parse_json, sha256_hex, to_json};

/// File name beside the manifest.
pub const SIGNATURE: &str = "signature.json";
/// Largest signature file that is read.
pub(super) const MAX_SIGNATURE_BYTES: u64 = 4 << 10;
const ALGORITHM: &str = "ed25519";
/// PKCS#8 version 1 (RFC 8410, 7) before the 32 bytes of a seed.
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// SubjectPublicKeyInfo (RFC 8410, 4) before the 32 bytes of a public key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// `signature.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// `ed25519`.
    pub algorithm: String,
    /// Of the key that signed; see [`PublicKey::id`].
    pub key_id: String,
    /// 64 bytes, base64.
    pub signature: String,
}

impl Signature {
    /// Parses a signature file.
    ///
    /// # Errors
    /// [`Error::Registry`] for anything that it cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Signature> {
        let signature: Signature = parse_json(SIGNATURE, bytes, MAX_SIGNATURE_BYTES)?;
        if signature.algorithm != ALGORITHM {
            return Err(Error::Registry(format!(
                "{SIGNATURE}: algorithm {:?} is not {ALGORITHM}; sign the version again",
                signature.algorithm
            )));
        }
        signature.bytes()?;
        Ok(signature)
    }

    /// The bytes of its file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_json(SIGNATURE, self)
    }

    fn bytes(&self) -> Result<[u8; 64]> {
        let decoded = STANDARD.decode(&self.signature).ok().and_then(|bytes| bytes.try_into().ok());
        decoded.ok_or_else(|| Error::Registry(format!("{SIGNATURE}: it holds no 64 bytes in base64; sign again")))
    }
}

/// The signature beside a manifest; `None` when there is none.
pub(super) async fn read(folder: &Place) -> Result<Option<Signature>> {
    let bytes: Option<Bytes> = folder.get_bounded(SIGNATURE, MAX_SIGNATURE_BYTES).await.map_err(as_refusal)?;
    bytes.map(|bytes| Signature::parse(&bytes)).transpose()
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The first 16 hexadecimal digits of the SHA-256 of its 32 bytes.
    pub fn id(&self) -> String {
        sha256_hex(&self.0)[..16].to_owned()
    }

    /// SubjectPublicKeyInfo as PEM, as OpenSSL reads it.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&SPKI_PREFIX[..], &self.0].concat())
    }
}

/// The keys whose signatures are trusted; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// Reads keys one after another: PEM blocks (`PUBLIC KEY`), or lines of 32 bytes in base64. Empty lines and those that
    /// begin with `#` are passed over.
    ///
    /// # Errors
    /// [`Error::Usage`] for anything else, and when there is no key.
    pub fn parse(text: &str) -> Result<PublicKeys> {
        let refuse = |what: &str| {
            Error::Usage(format!(
                "{what}: give public keys as PEM (PUBLIC KEY) of Ed25519, or 32 bytes in base64 a line"
            ))
        };
        let mut keys = Vec::new();
        for block in blocks(text) {
            let (label, der) = block.map_err(|line| refuse(&format!("line {line} is no public key")))?;
            let raw = match label {
                Some("PUBLIC KEY") => der.strip_prefix(&SPKI_PREFIX[..]).map(<[u8]>::to_vec),
                Some(_) => None,
                None => Some(der),
            };
            let raw = raw.and_then(|raw| <[u8; 32]>::try_from(raw).ok());
            keys.push(PublicKey(raw.ok_or_else(|| refuse(label.unwrap_or("a line")))?));
        }
        if keys.is_empty() {
            return Err(refuse("there is no key"));
        }
        Ok(PublicKeys(keys))
    }

    /// That one of these keys signed the manifest; its id.
    ///
    /// # Errors
    /// [`Error::Registry`] when none did.
    pub fn verify(&self, manifest: &[u8], signature: Option<&Signature>) -> Result<String> {
        let Some(signature) = signature else {
            return Err(Error::Registry(
                "it has no signature and one is required; sign it with harmonize models sign, or use another version"
                    .into(),
            ));
        };
        let Some(key) = self.0.iter().find(|key| key.id() == signature.key_id) else {
            return Err(Error::Registry(format!(
                "it is signed by key {}, which is none of the {} trusted; use a version signed by one of those",
                signature.key_id,
                self.0.len()
            )));
        };
        let verified = UnparsedPublicKey::new(&ED25519, &key.0).verify(manifest, &signature.bytes()?);
        verified.map(|()| key.id()).map_err(|_| {
            Error::Registry(format!(
                "{SIGNATURE}: it does not fit the manifest by key {}; the version or the signature was changed",
                key.id()
            ))
        })
    }
}

/// A key that signs.
pub struct SigningKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl SigningKey {
    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// [`Error::Resources`] when the system has none.
    pub fn generate() -> Result<SigningKey> {
        let mut seed = [0; 32];
        let filled = SystemRandom::new().fill(&mut seed);
        filled.map_err(|_| Error::Resources("the system gives no random numbers".into()))?;
        SigningKey::from_seed(seed)
    }

    /// Reads PEM (`PRIVATE KEY`, PKCS#8 of Ed25519 as OpenSSL writes it) or the 32 bytes of a seed in base64.
    ///
    /// # Errors
    /// [`Error::Usage`] for anything else; the text is not in the message.
    pub fn parse(text: &str) -> Result<SigningKey> {
        let refuse = || {
            Error::Usage(
                "this is no signing key: give PEM (PRIVATE KEY) of Ed25519, or a seed of 32 bytes in base64; \
                 `harmonize models keygen` makes one"
                    .into(),
            )
        };
        let mut found = blocks(text);
        let (label, der) = found.next().and_then(std::result::Result::ok).ok_or_else(refuse)?;
        if found.next().is_some() {
            return Err(refuse());
        }
        let seed = match label {
            Some("PRIVATE KEY") => der.strip_prefix(&PKCS8_PREFIX[..]).ok_or_else(refuse)?,
            Some(_) => return Err(refuse()),
            None => &der,
        };
        SigningKey::from_seed(seed.try_into().map_err(|_| refuse())?)
    }

    fn from_seed(seed: [u8; 32]) -> Result<SigningKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.map_err(|e| Error::Usage(format!("the seed is no Ed25519 key: {e}")))?;
        Ok(SigningKey { seed, pair })
    }

    pub fn public(&self) -> PublicKey {
        let mut raw = [0; 32];
        raw.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(raw)
    }

    /// PKCS#8 as PEM: a secret.
    pub fn to_pem(&self) -> String {
        pem("PRIVATE KEY", &[&PKCS8_PREFIX[..], &self.seed].concat())
    }

    /// Signs a manifest. Equal bytes and keys give equal signatures.
    pub fn sign(&self, manifest: &[u8]) -> Signature {
        Signature {
            algorithm: ALGORITHM.into(),
            key_id: self.public().id(),
            signature: STANDARD.encode(self.pair.sign(manifest)),
        }
    }
}

/// Signs a version, once: a signature that is there stays.
pub(super) async fn write(folder: &Place, manifest: &[u8], key: &SigningKey) -> Result<Signature> {
    let signature = key.sign(manifest);
    let put = folder.create(SIGNATURE, Bytes::from(signature.to_bytes()?)).await.context(|| SIGNATURE)?;
    if put {
        return Ok(signature);
    }
    let there = read(folder).await?.map_or("another key".into(), |there| format!("key {}", there.key_id));
    Err(Error::Registry(format!("it is signed by {there} already; a signature is never replaced")))
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..(at + 64).min(body.len())]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What a line or a PEM block holds, with the block's label; else the number of the line that is neither.
type Block<'a> = std::result::Result<(Option<&'a str>, Vec<u8>), usize>;

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    std::iter::from_fn(move || {
        let (n, line) = lines.find(|(_, line)| !line.is_empty() && !line.starts_with('#'))?;
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            return Some(STANDARD.decode(line).map(|raw| (None, raw)).map_err(|_| n));
        };
        let end = format!("-----END {label}-----");
        let mut body = String::new();
        loop {
            match lines.next() {
                Some((_, line)) if line == end => break,
                Some((_, line)) => body.push_str(line),
                None => return Some(Err(n)),
            }
        }
        Some(STANDARD.decode(body).map(|der| (Some(label), der)).map_err(|_| n))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 8032, 7.1, TEST 3.
    fn rfc() -> (SigningKey, Vec<u8>, Vec<u8>) {
        let seed = hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
        let signature = hex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        );
        (SigningKey::parse(&STANDARD.encode(seed)).unwrap(), hex("af82"), signature)
    }

    #[test]
    fn signatures_are_those_of_rfc_8032() {
        let (key, message, expected) = rfc();
        let public = hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        assert_eq!(key.public().0[..], public);
        let signature = key.sign(&message);
        assert_eq!(signature.bytes().unwrap()[..], expected);
        let keys = PublicKeys::parse(&STANDARD.encode(public)).unwrap();
        assert_eq!(keys.verify(&message, Some(&signature)).unwrap(), signature.key_id);
        assert!(keys.verify(b"other", Some(&signature)).unwrap_err().to_string().contains("does not fit"));
        assert!(keys.verify(&message, None).unwrap_err().to_string().contains("has no signature"));
    }

    /// The keys of RFC 8410, 10.1 and 10.3.
    #[test]
    fn keys_are_read_and_written_as_pem() {
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = SigningKey::parse(private).unwrap();
        assert_eq!(key.to_pem(), private);
        assert_eq!(key.public().to_pem(), public);
        let two = format!("# ours\n{public}\n{}\n", STANDARD.encode(rfc().0.public().0));
        assert_eq!(PublicKeys::parse(&two).unwrap().0, [key.public(), rfc().0.public()]);
        assert!(!format!("{key:?}").contains("1O5y"), "a key prints its id alone");
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
        for text in
            ["", "nonsense!", secret, "-----BEGIN PRIVATE KEY-----\nMC4C", "-----BEGIN X-----\nAAAA\n-----END X-----"]
        {
            let why = SigningKey::parse(text).unwrap_err().to_string();
            assert!(why.contains("no signing key") && !why.contains(secret), "{why}");
            assert!(PublicKeys::parse(text).is_err(), "{text}");
        }
        assert!(PublicKeys::parse(&rfc().0.to_pem()).is_err(), "a private key is no public one");
    }

    #[test]
    fn new_keys_differ() {
        assert_ne!(SigningKey::generate().unwrap().seed, SigningKey::generate().unwrap().seed);
    }

    #[test]
    fn a_signature_by_another_key_or_algorithm_is_refused() {
        let (key, message, _) = rfc();
        let other = SigningKey::generate().unwrap();
        let keys = PublicKeys::parse(&other.public().to_pem()).unwrap();
        assert!(
            keys.verify(&message, Some(&key.sign(&message))).unwrap_err().to_string().contains("none of the 1 trusted")
        );
        let forged = Signature { key_id: other.public().id(), ..key.sign(&message) };
        assert!(keys.verify(&message, Some(&forged)).is_err());
        let rsa = Signature { algorithm: "rsa".into(), ..key.sign(&message) };
        assert!(Signature::parse(&rsa.to_bytes().unwrap()).is_err());
        let short = Signature { signature: "AAAA".into(), ..key.sign(&message) };
        assert!(Signature::parse(&short.to_bytes().unwrap()).unwrap_err().to_string().contains("64 bytes"));
    }
}
