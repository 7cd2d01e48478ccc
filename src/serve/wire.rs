//! One connection as a stream of messages: what the client sends is cut, bounded and decoded here, what it gets is gathered
//! and written in large pieces.
//!
//! A message that claims to be longer than it may be is refused before it is read. Nothing that a client sends makes this
//! panic.

use bytes::{Buf, Bytes, BytesMut};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::Bind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::fault::{Answer, Fault, state};

/// Longest message before the login is done, as in PostgreSQL.
pub(super) const LOGIN_BYTES: usize = 10_000;
/// From this many bytes on, what is to be sent is sent.
const WRITE_BYTES: usize = 64 << 10;
/// What is read ahead while a statement runs.
const AHEAD_BYTES: usize = 64 << 10;

/// Plain or encrypted.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// Why a step did not come to its end.
#[derive(Debug)]
pub(super) enum End {
    /// The client is told.
    Fault(Fault),
    /// There is nobody to tell.
    Gone,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> End {
        End::Fault(fault)
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> End {
        End::Gone
    }
}

/// What a client sends after its start-up message.
#[derive(Debug)]
pub(super) enum Frontend {
    Query(String),
    Parse {
        name: String,
        query: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        rows: usize,
    },
    Close(Target),
    Flush,
    Sync,
    Terminate,
    /// A message of the login.
    Password(Bytes),
    /// A message of COPY, which is over by the time it comes.
    Copy,
    /// A message of the protocol that cannot be served.
    Unreadable {
        extended: bool,
        fault: Fault,
    },
}

/// What is described or closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// See the module.
pub(super) struct Wire {
    io: Box<dyn Duplex>,
    read: BytesMut,
    write: BytesMut,
}

impl Wire {
    pub fn new(io: impl Duplex + 'static) -> Wire {
        Wire { io: Box::new(io), read: BytesMut::new(), write: BytesMut::new() }
    }

    /// The next message of at most `longest` bytes; `None` when the client has closed.
    pub async fn next(&mut self, longest: usize) -> Result<Option<Frontend>, End> {
        loop {
            if let Some((tag, body)) = self.cut(longest)? {
                return Ok(Some(decode(tag, body)?));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message without a tag, as a login begins with.
    pub async fn next_untagged(&mut self) -> Result<Option<Bytes>, End> {
        loop {
            if let Some(length) = length_at(&self.read, 0, LOGIN_BYTES)?
                && self.read.len() >= length
            {
                let mut message = self.read.split_to(length);
                message.advance(4);
                return Ok(Some(message.freeze()));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Comes back when the client closes. What it sends meanwhile is kept, up to a bound.
    pub async fn gone(&mut self) {
        while self.read.len() < AHEAD_BYTES {
            match self.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    /// What carries the bytes; those that are read or gathered are lost.
    pub fn into_io(self) -> Box<dyn Duplex> {
        self.io
    }

    /// Whether bytes have come that no message was made of.
    pub fn has_unread(&self) -> bool {
        !self.read.is_empty()
    }

    /// Puts a message behind those that are to be sent.
    pub fn feed(&mut self, message: PgWireBackendMessage) -> Answer<()> {
        message
            .encode(&mut self.write)
            .map_err(|_| Fault::new(state::LIMIT_EXCEEDED, "a row or a message is too large to be sent"))
    }

    /// Whether enough is gathered to be sent.
    pub fn is_full(&self) -> bool {
        self.write.len() >= WRITE_BYTES
    }

    /// Puts single bytes behind what is to be sent.
    pub fn feed_raw(&mut self, bytes: &[u8]) {
        self.write.extend_from_slice(bytes);
    }

    /// Sends all that is gathered. Can be given up and called again.
    pub async fn flush(&mut self) -> Result<(), End> {
        while self.write.has_remaining() {
            if self.io.write_buf(&mut self.write).await? == 0 {
                return Err(End::Gone);
            }
        }
        self.io.flush().await?;
        // A large row must not keep its room for as long as the connection lasts.
        if self.write.capacity() > 4 * WRITE_BYTES {
            self.write = BytesMut::new();
        }
        Ok(())
    }

    /// Sends what is left and closes.
    pub async fn close(mut self) {
        let _ = self.flush().await;
        let _ = self.io.shutdown().await;
    }

    async fn fill(&mut self) -> Result<usize, End> {
        self.read.reserve(8 << 10);
        Ok(self.io.read_buf(&mut self.read).await?)
    }

    /// Cuts one whole message off: its tag and its body.
    fn cut(&mut self, longest: usize) -> Answer<Option<(u8, Bytes)>> {
        let Some(length) = length_at(&self.read, 1, longest)? else { return Ok(None) };
        if self.read.len() < length + 1 {
            return Ok(None);
        }
        let tag = self.read[0];
        let mut message = self.read.split_to(length + 1);
        message.advance(5);
        Ok(Some((tag, message.freeze())))
    }
}

/// The length that a message says it has, its own four bytes included.
fn length_at(read: &[u8], at: usize, longest: usize) -> Answer<Option<usize>> {
    let Some(bytes) = read.get(at..at + 4) else { return Ok(None) };
    let length = bytes.iter().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
    match length {
        0..4 => Err(Fault::malformed("a length below 4")),
        length if length > longest => Err(Fault::fatal(
            state::LIMIT_EXCEEDED,
            format!("a message of {length} bytes is too long: at most {longest} are taken"),
        )),
        length => Ok(Some(length)),
    }
}

fn decode(tag: u8, body: Bytes) -> Answer<Frontend> {
    let extended = matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
    match decode_body(tag, Body(body)) {
        Err(fault) if !fault.fatal => Ok(Frontend::Unreadable { extended, fault }),
        decoded => decoded,
    }
}

fn decode_body(tag: u8, mut body: Body) -> Answer<Frontend> {
    let message = match tag {
        b'Q' => Frontend::Query(body.text()?),
        b'P' => {
            let (name, query) = (body.text()?, body.text()?);
            let count = body.count()?;
            let types = (0..count).map(|_| body.u32()).collect::<Answer<_>>()?;
            Frontend::Parse { name, query, types }
        }
        b'B' => Frontend::Bind(body.bind()?),
        b'D' => Frontend::Describe(body.target()?),
        b'E' => {
            let portal = body.text()?;
            // Zero and what is negative mean all rows.
            let rows = i32::from_be_bytes(body.u32()?.to_be_bytes());
            Frontend::Execute { portal, rows: usize::try_from(rows).unwrap_or(0) }
        }
        b'C' => Frontend::Close(body.target()?),
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        b'X' => Frontend::Terminate,
        b'p' => return Ok(Frontend::Password(body.0)),
        b'd' | b'c' | b'f' => return Ok(Frontend::Copy),
        b'F' => {
            let fault = Fault::new(state::NOT_SUPPORTED, "function calls of the protocol are not offered: use SELECT");
            return Ok(Frontend::Unreadable { extended: false, fault });
        }
        _ => return Err(Fault::malformed("an unknown kind of message")),
    };
    match body.0.is_empty() {
        true => Ok(message),
        false => Err(Fault::malformed("more than belongs to it")),
    }
}

/// What is left of a message's body.
struct Body(Bytes);

impl Body {
    fn take(&mut self, bytes: usize) -> Answer<Bytes> {
        match self.0.len() >= bytes {
            true => Ok(self.0.split_to(bytes)),
            false => Err(Fault::malformed("it ends too early")),
        }
    }

    fn u16(&mut self) -> Answer<u16> {
        self.take(2).map(|mut bytes| bytes.get_u16())
    }

    fn u32(&mut self) -> Answer<u32> {
        self.take(4).map(|mut bytes| bytes.get_u32())
    }

    /// How many of something follow, each of at least two bytes.
    fn count(&mut self) -> Answer<usize> {
        let count = usize::from(self.u16()?);
        match count * 2 <= self.0.len() {
            true => Ok(count),
            false => Err(Fault::malformed("it ends too early")),
        }
    }

    fn text(&mut self) -> Answer<String> {
        let end =
            self.0.iter().position(|&byte| byte == 0).ok_or_else(|| Fault::malformed("a text without its end"))?;
        let text = self.take(end)?;
        self.0.advance(1);
        String::from_utf8(text.into()).map_err(|_| Fault::new(state::NOT_UTF8, "a text is not UTF-8"))
    }

    fn codes(&mut self) -> Answer<Vec<i16>> {
        let count = self.count()?;
        (0..count).map(|_| self.take(2).map(|mut bytes| bytes.get_i16())).collect()
    }

    fn target(&mut self) -> Answer<Target> {
        let kind = self.take(1)?[0];
        let name = self.text()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            _ => Err(Fault::malformed("neither a statement nor a portal")),
        }
    }

    fn bind(&mut self) -> Answer<Bind> {
        let (portal, statement) = (self.text()?, self.text()?);
        let formats = self.codes()?;
        let count = self.count()?;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let length = i32::from_be_bytes(self.u32()?.to_be_bytes());
            values.push(match usize::try_from(length) {
                Ok(length) => Some(self.take(length)?),
                Err(_) => None,
            });
        }
        let results = self.codes()?;
        if !matches!(formats.len(), 0 | 1) && formats.len() != values.len() {
            return Err(Fault::malformed("another number of formats than of parameters"));
        }
        Ok(Bind::new(Some(portal), Some(statement), formats, values, results))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8], longest: usize) -> Result<Option<Frontend>, End> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(bytes).await.unwrap();
        drop(client);
        Wire::new(server).next(longest).await
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend((body.len() as u32 + 4).to_be_bytes());
        out.extend(body);
        out
    }

    #[tokio::test]
    async fn messages_are_cut_and_decoded() {
        assert!(
            matches!(read(&message(b'Q', b"SELECT 1\0"), 100).await, Ok(Some(Frontend::Query(q))) if q == "SELECT 1")
        );
        let parse = message(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17");
        let read_parse = read(&parse, 100).await;
        assert!(matches!(read_parse, Ok(Some(Frontend::Parse { types, .. })) if types == [23]));
        let bind = message(b'B', b"\0s\0\0\0\0\x02\0\0\0\x01a\xff\xff\xff\xff\0\x01\0\x01");
        let Ok(Some(Frontend::Bind(bind))) = read(&bind, 100).await else { panic!("no bind") };
        assert_eq!(bind.parameters, [Some(Bytes::from_static(b"a")), None]);
        assert_eq!(bind.result_column_format_codes, [1]);
        let execute = message(b'E', b"\0\xff\xff\xff\xff");
        assert!(matches!(read(&execute, 100).await, Ok(Some(Frontend::Execute { rows: 0, .. }))));
        assert!(matches!(read(b"", 100).await, Ok(None)));
    }

    #[tokio::test]
    async fn what_is_too_long_or_malformed_is_refused_before_it_is_read() {
        for bytes in [
            &b"Q\x3f\xff\xff\xff"[..],
            b"Q\0\0\0\x03",
            b"Q\xff\xff\xff\xff",
            b"Q\0\0\0\x05x",
            b"?\0\0\0\x04",
            b"P\0\0\0\x09\0\0\xff\xff\0",
            b"B\0\0\0\x0c\0\0\0\0\0\x01\x7f\xff",
            b"D\0\0\0\x06x\0",
            b"S\0\0\0\x05x",
        ] {
            assert!(matches!(read(bytes, 100).await, Err(End::Fault(fault)) if fault.fatal), "{bytes:?}");
        }
        let crooked = read(&message(b'Q', b"SELECT '\xff'\0"), 100).await;
        assert!(matches!(crooked, Ok(Some(Frontend::Unreadable { fault, .. })) if fault.state == "22021"));
    }
}
