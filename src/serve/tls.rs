//! The server's certificate: read from PEM files, read again when they change, and its hash for binding a login to it.
//!
//! One provider of cryptography is named here, for the tree holds two and rustls would not choose.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::users::refuse_others;
use super::watched::Watched;
use crate::error::{Error, Result};

/// What PostgreSQL's clients name when they begin with TLS at once.
pub(super) const ALPN: &[u8] = b"postgresql";

/// What a connection needs of the certificate.
pub(super) struct Tls {
    pub acceptor: TlsAcceptor,
    /// RFC 5929 `tls-server-end-point`; `None` for a certificate whose signature names no hash.
    pub end_point: Option<Vec<u8>>,
}

/// Follows a certificate and its key.
///
/// # Errors
/// `Usage` when one of them is not what it should be, `Credentials` when others can read the key.
pub(super) fn follow(certificate: &Path, key: &Path) -> Result<Watched<Tls>> {
    let (certificate, key) = (PathBuf::from(certificate), PathBuf::from(key));
    Watched::new(vec![certificate.clone(), key.clone()], move || read(&certificate, &key))
}

fn read(certificate: &Path, key: &Path) -> Result<Tls> {
    let bad = |file: &Path, what: &str| Error::Usage(format!("{}: {what}", file.display()));
    let chain: Vec<CertificateDer> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(|_| {
            bad(certificate, "no certificates in PEM; give the server's own first, then those that signed it")
        })?;
    let own = chain.first().ok_or_else(|| bad(certificate, "there is no certificate in it"))?;
    let end_point = hash_of_signature(own).map(|hash| digest(hash, own).as_ref().to_vec());
    let private = PrivateKeyDer::from_pem_file(key).map_err(|_| bad(key, "no private key in PEM"))?;
    refuse_others(key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|e| bad(key, &format!("it does not go with {}: {e}", certificate.display())))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), end_point })
}

/// The hash of a certificate's signature, of which MD5 and SHA-1 count as SHA-256 (RFC 5929, section 4.1).
fn hash_of_signature(certificate: &[u8]) -> Option<&'static Algorithm> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … }
    let (_, inside, _) = element(certificate)?;
    let (_, _, rest) = element(inside)?;
    let (_, algorithm, _) = element(rest)?;
    let (6, oid, _) = element(algorithm)? else { return None };
    match oid {
        // sha1, md5 and sha256 with RSA; ECDSA with SHA-1 and SHA-256.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4 | 5 | 11] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => Some(&SHA256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] => Some(&SHA256),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => Some(&SHA384),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => Some(&SHA512),
        _ => None,
    }
}

/// The first element of DER: its tag, what is in it, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (inside, after) = rest.split_at_checked(length)?;
    Some((tag, inside, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_signature_and_what_is_no_certificate_has_none() {
        let certificate = |oid: &[u8]| {
            let mut algorithm = vec![0x30, oid.len() as u8 + 2, 6, oid.len() as u8];
            algorithm.extend(oid);
            let mut all = vec![0x30, algorithm.len() as u8 + 2, 0x30, 0];
            all.extend(algorithm);
            all
        };
        let hash = |oid: &[u8]| hash_of_signature(&certificate(oid)).map(|hash| hash.output_len());
        assert_eq!(hash(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]), Some(32));
        assert_eq!(hash(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12]), Some(48));
        assert_eq!(hash(&[0x2b, 0x65, 0x70]), None, "Ed25519 names no hash");
        for broken in [&[][..], &[0x30], &[0x30, 0x85, 1], &[0x30, 5, 1], &[0x30, 0x82, 0xff, 0xff, 1]] {
            assert!(hash_of_signature(broken).is_none(), "{broken:?}");
        }
    }
}
