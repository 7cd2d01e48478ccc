//! Bytes with their SHA-256. Only this module makes one, so that a digest is always the digest of its bytes.

use std::io;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::manifest::hex;

/// Bytes that are read at once, and digested while the next ones are read: what stays in a core's cache.
const PIECE: usize = 1 << 20;

/// Bytes that were digested.
#[derive(Clone, Debug)]
pub struct Digested {
    bytes: Bytes,
    sha256: String,
}

impl Digested {
    /// Digests bytes that are there already.
    pub fn of(bytes: impl Into<Bytes>) -> Digested {
        let bytes = bytes.into();
        Digested { sha256: hex(&Sha256::digest(&bytes)), bytes }
    }

    /// Takes `len` bytes and digests those that are there on another thread meanwhile: of a model on disk, digesting takes longer than
    /// reading. `fill` is given each piece in its turn.
    ///
    /// # Errors
    /// Those of `fill`, and of a thread that cannot be started.
    pub fn read(len: usize, mut fill: impl FnMut(&mut [u8]) -> io::Result<()>) -> io::Result<Digested> {
        let mut bytes = vec![0; len];
        if len <= PIECE {
            fill(&mut bytes)?;
            return Ok(Digested::of(bytes));
        }
        let sha256 = thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel::<&[u8]>();
            let digest = thread::Builder::new().name("digest".into()).spawn_scoped(scope, move || {
                let mut digest = Sha256::new();
                receiver.into_iter().for_each(|piece| digest.update(piece));
                hex(&digest.finalize())
            })?;
            for piece in bytes.chunks_mut(PIECE) {
                fill(piece)?;
                // The other end goes away only in a panic, which is told below.
                let _ = sender.send(piece);
            }
            drop(sender);
            digest.join().map_err(|_| io::Error::other("the digest was not made"))
        })?;
        Ok(Digested { bytes: bytes.into(), sha256 })
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_digested_while_it_is_read_has_the_digest_of_what_is_there() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17] {
            let all: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
            let mut from = all.as_slice();
            let read = Digested::read(len, |piece| from.read_exact(piece)).unwrap();
            assert_eq!(read.bytes(), &all);
            assert_eq!(read.sha256(), Digested::of(all).sha256(), "{len} bytes");
        }
        assert_eq!(Digested::of("abc").sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_ends_before_its_length_is_an_error() {
        let mut from = &[1u8, 2, 3][..];
        let error = Digested::read(4, |piece| from.read_exact(piece)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
