//! SCRAM-SHA-256, the server's side: RFC 5802 and RFC 7677, with and without binding to the channel.
//!
//! The server holds a verifier, from which no password and no proof can be made. A name that is not known is asked as any
//! other, with a salt that stays the same, and fails at the proof.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion_postgres::pgwire::api::auth::sasl::scram::gen_salted_password;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};

/// Without binding to the channel.
pub(super) const PLAIN: &str = "SCRAM-SHA-256";
/// Bound to the server's certificate.
pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";
/// Rounds of a new verifier: PostgreSQL's default, and what a mock one says.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
const BINDING: &str = "tls-server-end-point";

/// What is kept of a password: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, as PostgreSQL keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl Verifier {
    /// Of a password, with a fresh salt.
    ///
    /// # Errors
    /// `Resources` when the system gives no random bytes.
    pub fn of(password: &str) -> Result<Verifier> {
        Ok(Verifier::salted(password, &random::<16>()?, ITERATIONS))
    }

    fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> Verifier {
        let salted = gen_salted_password(password, salt, iterations.get() as usize);
        let client_key = mac(&salted, b"Client Key");
        Verifier {
            iterations,
            salt: salt.to_vec(),
            stored_key: hash(&client_key),
            server_key: mac(&salted, b"Server Key"),
        }
    }

    /// One that no password fits, the same for a name whenever it is asked for.
    pub(super) fn mock(secret: &[u8], name: &str) -> Verifier {
        let of = |purpose: &str| mac(secret, format!("{purpose}:{name}").as_bytes());
        Verifier {
            iterations: ITERATIONS,
            salt: of("salt")[..16].to_vec(),
            stored_key: of("stored"),
            server_key: of("server"),
        }
    }
}

/// Never shows its keys.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = |bytes: &[u8]| STANDARD.encode(bytes);
        let Verifier { iterations, salt, stored_key, server_key } = self;
        write!(f, "{PLAIN}${iterations}:{}${}:{}", text(salt), text(stored_key), text(server_key))
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Verifier> {
        let parsed = || {
            let rest = text.strip_prefix(PLAIN)?.strip_prefix('$')?;
            let (how, keys) = rest.split_once('$')?;
            let ((iterations, salt), (stored, server)) = (how.split_once(':')?, keys.split_once(':')?);
            let bytes = |text: &str| STANDARD.decode(text).ok();
            let iterations: NonZeroU32 = iterations.parse().ok()?;
            Some(Verifier {
                iterations: Some(iterations).filter(|n| (4096..=10_000_000).contains(&n.get()))?,
                salt: bytes(salt).filter(|salt| salt.len() >= 8)?,
                stored_key: bytes(stored)?.try_into().ok()?,
                server_key: bytes(server)?.try_into().ok()?,
            })
        };
        parsed().ok_or_else(|| {
            Error::Input(format!("a verifier is not {PLAIN}$<iterations from 4096>:<salt>$<stored key>:<server key>"))
        })
    }
}

/// How a login can fail. Which of them it was is not told to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not a message of the exchange.
    Malformed(&'static str),
    /// The proof is not that of the password, or the name is not known.
    Proof,
    /// The client believes in another channel or another offer than the server made.
    Binding,
}

/// The exchange after the client's first message.
pub(super) struct Exchange {
    verifier: Verifier,
    /// What the client's last message has to say about the channel.
    expected_binding: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

impl Exchange {
    /// Answers the client's first message. `end_point` is the hash of the certificate where binding was offered, `plus`
    /// whether the client chose it, `nonce` fresh and random.
    pub fn begin(
        client_first: &[u8],
        verifier: Verifier,
        end_point: Option<&[u8]>,
        plus: bool,
        nonce: &str,
    ) -> Result<(String, Exchange), Refused> {
        let text = std::str::from_utf8(client_first).map_err(|_| Refused::Malformed("not UTF-8"))?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refused::Malformed("client-first-message"));
        };
        let bound = match (flag, plus, end_point) {
            ("n", false, _) | ("y", false, None) => None,
            // The client could bind and thinks that the server cannot: somebody took the offer away.
            ("y", false, Some(_)) => return Err(Refused::Binding),
            (flag, true, Some(end_point)) if flag.strip_prefix("p=") == Some(BINDING) => Some(end_point),
            _ => return Err(Refused::Binding),
        };
        let mut header = format!("{flag},{authzid},").into_bytes();
        header.extend(bound.unwrap_or_default());
        // The name of the start-up message counts, as in PostgreSQL.
        let client_nonce = bare.split(',').find_map(|field| field.strip_prefix("r="));
        let client_nonce = client_nonce.filter(|nonce| !nonce.is_empty() && nonce.len() <= 256);
        let nonce = format!("{}{nonce}", client_nonce.ok_or(Refused::Malformed("no nonce"))?);
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let exchange = Exchange {
            verifier,
            expected_binding: STANDARD.encode(header),
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
            nonce,
        };
        Ok((server_first, exchange))
    }

    /// Checks the client's last message; the server's last one.
    pub fn end(self, client_final: &[u8]) -> Result<String, Refused> {
        let text = std::str::from_utf8(client_final).map_err(|_| Refused::Malformed("not UTF-8"))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Refused::Malformed("no proof"))?;
        let mut fields = without_proof.split(',');
        let (binding, nonce) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if binding.strip_prefix("c=") != Some(self.expected_binding.as_str()) {
            return Err(Refused::Binding);
        }
        if nonce.strip_prefix("r=") != Some(self.nonce.as_str()) {
            return Err(Refused::Malformed("another nonce"));
        }
        let proof: [u8; 32] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(Refused::Malformed("a proof of another length"))?;
        let said = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = mac(&self.verifier.stored_key, said.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        if !same(&hash(&client_key), &self.verifier.stored_key) {
            return Err(Refused::Proof);
        }
        Ok(format!("v={}", STANDARD.encode(mac(&self.verifier.server_key, said.as_bytes()))))
    }
}

/// Fresh random bytes.
///
/// # Errors
/// `Resources` when the system gives none.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| Error::Resources("the system gives no random bytes".into()))?;
    Ok(bytes)
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(sign(&Key::new(HMAC_SHA256, key), message).as_ref());
    out
}

fn hash(message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, message).as_ref());
    out
}

/// Compares in a time that does not depend on where two keys differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const LAST: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn verifier(password: &str) -> Verifier {
        Verifier::salted(password, &STANDARD.decode(SALT).unwrap(), ITERATIONS)
    }

    #[test]
    fn the_exchange_of_the_rfc_is_answered_as_the_rfc_says() {
        let (first, exchange) = Exchange::begin(FIRST, verifier("pencil"), None, false, SERVER_NONCE).unwrap();
        assert_eq!(first, format!("r=rOprNGfwEbeRWgbNEkqO{SERVER_NONCE},s={SALT},i=4096"));
        assert_eq!(exchange.end(LAST.as_bytes()).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_wrong_password_another_nonce_and_a_changed_channel_are_refused() {
        let ends = |verifier: Verifier, nonce: &str, last: &str| {
            Exchange::begin(FIRST, verifier, None, false, nonce).unwrap().1.end(last.as_bytes())
        };
        assert_eq!(ends(verifier("pencils"), SERVER_NONCE, LAST), Err(Refused::Proof));
        assert_eq!(ends(Verifier::mock(b"secret", "user"), SERVER_NONCE, LAST), Err(Refused::Proof));
        assert_eq!(ends(verifier("pencil"), "other", LAST), Err(Refused::Malformed("another nonce")));
        assert_eq!(ends(verifier("pencil"), SERVER_NONCE, &LAST.replace("biws", "eSws")), Err(Refused::Binding));
        let begins = |first: &[u8], end_point: Option<&[u8]>, plus| {
            Exchange::begin(first, verifier("pencil"), end_point, plus, SERVER_NONCE).map(|_| ())
        };
        // The client could bind, the server offered it, and neither of them did.
        assert_eq!(begins(b"y,,n=,r=abc", Some(b"hash"), false), Err(Refused::Binding));
        assert_eq!(begins(b"y,,n=,r=abc", None, false), Ok(()));
        assert_eq!(begins(b"p=tls-server-end-point,,n=,r=abc", Some(b"hash"), true), Ok(()));
        assert_eq!(begins(b"p=tls-unique,,n=,r=abc", Some(b"hash"), true), Err(Refused::Binding));
        for broken in [&b""[..], b"n", b"n,,", b"n,,n=x", b"n,,n=x,r=", b"\xff"] {
            assert!(matches!(begins(broken, None, false), Err(Refused::Malformed(_))), "{broken:?}");
        }
    }

    #[test]
    fn a_verifier_survives_being_written_and_a_mock_one_is_the_same_each_time() {
        let made = Verifier::of("a word").unwrap();
        assert_eq!(made.to_string().parse::<Verifier>().unwrap(), made);
        assert_ne!(Verifier::of("a word").unwrap(), made, "another salt");
        assert!(!format!("{made:?}").contains(&STANDARD.encode(made.stored_key)));
        assert_eq!(Verifier::mock(b"s", "ana"), Verifier::mock(b"s", "ana"));
        assert_ne!(Verifier::mock(b"s", "ana"), Verifier::mock(b"s", "bob"));
        for broken in ["", "SCRAM-SHA-256$1:AAAA$AA:AA", "md5abc", "SCRAM-SHA-256$4096:AAAAAAAAAAAA$AA:AA"] {
            assert!(broken.parse::<Verifier>().is_err(), "{broken}");
        }
    }
}
