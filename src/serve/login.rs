//! The first messages of a connection: encryption, start-up, password.
//!
//! A connection that has to be encrypted and is not is refused before a password is asked for. An unknown user and a wrong
//! password look the same, in words, in steps and in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::startup::{Authentication, NegotiateProtocolVersion};
use tokio::net::TcpStream;

use super::fault::{Answer, Fault, state};
use super::roles::Role;
use super::scram::{self, Exchange, Refused, random};
use super::tls::{ALPN, Tls};
use super::users::Users;
use super::wire::{Duplex, End, Frontend, LOGIN_BYTES, Wire};
use crate::sql::CATALOG;

/// Codes that stand where a start-up message has its version.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// Newest version of the protocol that is spoken.
const NEWEST: (u16, u16) = (3, 2);
/// How long a wrong password takes, at least.
const REGRET: Duration = Duration::from_secs(1);

/// What a connection turned out to be.
pub(super) enum Opened {
    /// Somebody wants to come in.
    Login(Wire, Start),
    /// A request to cancel what another connection runs.
    Cancel { pid: i32, key: Bytes },
    /// It closed, or it is not for us.
    Nothing,
}

/// What a start-up message says.
pub(super) struct Start {
    pub user: String,
    /// Whether the client takes keys of more than four bytes.
    pub long_key: bool,
    /// Settings that the client begins with, in lower case.
    pub settings: BTreeMap<String, String>,
    end_point: Option<Vec<u8>>,
}

/// Negotiates encryption and reads the start-up message. `required` refuses what is not encrypted.
pub(super) async fn open(tcp: TcpStream, tls: Option<Arc<Tls>>, required: bool) -> Result<Opened, End> {
    tcp.set_nodelay(true)?;
    let mut first = [0];
    let direct = tcp.peek(&mut first).await? == 1 && first[0] == 0x16;
    let mut wire = match (&tls, direct) {
        (Some(tls), true) => return encrypted(Box::new(tcp), tls, true).await,
        (None, true) => return Ok(Opened::Nothing),
        _ => Wire::new(tcp),
    };
    // Two offers at most come before the start-up message.
    for _ in 0..3 {
        let Some(mut message) = wire.next_untagged().await? else { return Ok(Opened::Nothing) };
        match code(&mut message)? {
            SSL_REQUEST => match &tls {
                Some(tls) => {
                    // What came before the handshake could be from somebody else.
                    if wire.has_unread() {
                        return Err(Fault::malformed("bytes between the request for encryption and its answer").into());
                    }
                    wire.feed_raw(b"S");
                    wire.flush().await?;
                    return encrypted(wire.into_io(), tls, false).await;
                }
                None => wire.feed_raw(b"N"),
            },
            GSS_REQUEST => wire.feed_raw(b"N"),
            code => return begin(wire, code, message, None, required).await,
        }
        wire.flush().await?;
    }
    Ok(Opened::Nothing)
}

async fn encrypted(io: Box<dyn Duplex>, tls: &Tls, direct: bool) -> Result<Opened, End> {
    let stream = tls.acceptor.accept(io).await?;
    // Without this, a page of a browser could speak to the server.
    if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Ok(Opened::Nothing);
    }
    let mut wire = Wire::new(stream);
    let Some(mut message) = wire.next_untagged().await? else { return Ok(Opened::Nothing) };
    let code = code(&mut message)?;
    begin(wire, code, message, Some(tls), false).await
}

fn code(message: &mut Bytes) -> Answer<u32> {
    match message.len() {
        0..4 => Err(Fault::malformed("a start-up message without a version")),
        _ => Ok(message.get_u32()),
    }
}

/// Reads a start-up message, or a request to cancel.
async fn begin(mut wire: Wire, code: u32, rest: Bytes, tls: Option<&Tls>, required: bool) -> Result<Opened, End> {
    if code == CANCEL_REQUEST {
        let mut rest = rest;
        return match rest.len() {
            8..=260 => Ok(Opened::Cancel { pid: rest.get_i32(), key: rest }),
            _ => Ok(Opened::Nothing),
        };
    }
    match start(&mut wire, code, &rest, tls, required) {
        Ok(start) => Ok(Opened::Login(wire, start)),
        Err(fault) => {
            refuse(wire, &fault).await;
            Ok(Opened::Nothing)
        }
    }
}

fn start(wire: &mut Wire, code: u32, rest: &[u8], tls: Option<&Tls>, required: bool) -> Answer<Start> {
    if required {
        let fault = Fault::fatal(state::NO_ACCESS, "this server takes encrypted connections only");
        return Err(fault.hint("Connect with sslmode=require, or better verify-full."));
    }
    let (major, minor) = ((code >> 16) as u16, code as u16);
    if major != NEWEST.0 {
        return Err(Fault::fatal(
            state::NOT_SUPPORTED,
            format!("version {major}.{minor} of the protocol is not spoken"),
        ));
    }
    let mut said = pairs(rest)?;
    let unknown: Vec<String> = said.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if !matches!(minor, 0 | 2) || !unknown.is_empty() {
        let newest = i32::from(NEWEST.0) << 16 | if minor >= NEWEST.1 { i32::from(NEWEST.1) } else { 0 };
        wire.feed(Backend::NegotiateProtocolVersion(NegotiateProtocolVersion::new(newest, unknown)))?;
    }
    said.retain(|name, _| !name.starts_with("_pq_."));
    if said.remove("replication").is_some_and(|value| !matches!(value.as_str(), "" | "false" | "off" | "no" | "0")) {
        return Err(Fault::fatal(state::NOT_SUPPORTED, "replication is not offered"));
    }
    let user = said.remove("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| Fault::fatal(state::NO_ACCESS, "no user is named in the start-up message"))?;
    let database = said.remove("database").unwrap_or_else(|| CATALOG.into());
    // Clients that are not told a database name one of these.
    if !["", CATALOG, "postgres", &user].contains(&database.as_str()) {
        let fault = Fault::fatal("3D000", "there is no such database");
        return Err(fault.hint(format!("The database is called {CATALOG}.")));
    }
    let long_key = minor >= NEWEST.1;
    Ok(Start { user, long_key, settings: said, end_point: tls.and_then(|tls| tls.end_point.clone()) })
}

/// Names and values, and what `options` sets as a command line would.
fn pairs(rest: &[u8]) -> Answer<BTreeMap<String, String>> {
    let mut texts = rest.split(|&byte| byte == 0).map(|text| {
        String::from_utf8(text.to_vec()).map_err(|_| Fault::fatal(state::NOT_UTF8, "the start-up message is not UTF-8"))
    });
    let mut said = BTreeMap::new();
    while let Some(name) = texts.next().transpose()?.filter(|name| !name.is_empty()) {
        let value = texts.next().transpose()?.ok_or_else(|| Fault::malformed("a setting without a value"))?;
        said.insert(name.to_lowercase(), value);
    }
    let options = said.remove("options").unwrap_or_default();
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c").filter(|rest| !rest.is_empty()))
        {
            Some(setting) => Some(setting),
            None if word == "-c" => words.next(),
            None => None,
        };
        let Some((name, value)) = setting.and_then(|setting| setting.split_once('=')) else {
            return Err(Fault::fatal(state::INVALID_PARAMETER, "options: write -c name=value"));
        };
        said.insert(name.to_lowercase().replace('-', "_"), value.to_owned());
    }
    Ok(said)
}

/// Asks for the password and checks it; the user's role.
pub(super) async fn check(wire: &mut Wire, start: &Start, users: &Users) -> Result<Role, End> {
    let mut offers = vec![scram::PLAIN.to_owned()];
    if start.end_point.is_some() {
        offers.insert(0, scram::PLUS.to_owned());
    }
    wire.feed(Backend::Authentication(Authentication::SASL(offers)))?;
    wire.flush().await?;
    let ended = exchange(wire, start, users).await?;
    match (ended, users.get(&start.user)) {
        (Ok(last), Some(user)) => {
            wire.feed(Backend::Authentication(Authentication::SASLFinal(last.into())))?;
            Ok(user.role)
        }
        (Err(Refused::Malformed(what)), _) => Err(Fault::malformed(what).into()),
        (Err(Refused::Binding), _) => {
            let fault = Fault::fatal(state::NO_ACCESS, "the channel is another than the client thinks");
            Err(fault.hint("Somebody may stand between client and server.").into())
        }
        (Ok(_) | Err(Refused::Proof), _) => {
            tokio::time::sleep(REGRET).await;
            let message = format!("password authentication failed for user \"{}\"", start.user);
            Err(Fault::fatal(state::WRONG_PASSWORD, message).into())
        }
    }
}

async fn exchange(wire: &mut Wire, start: &Start, users: &Users) -> Result<Result<String, Refused>, End> {
    let first = password(wire).await?;
    let Some((mechanism, first)) = initial(&first) else { return Ok(Err(Refused::Malformed("a first response"))) };
    let end_point = start.end_point.as_deref();
    let plus = match mechanism {
        scram::PLAIN => false,
        scram::PLUS if end_point.is_some() => true,
        _ => return Ok(Err(Refused::Malformed("a mechanism that was not offered"))),
    };
    let nonce = random::<18>().map_err(Fault::from)?;
    let nonce = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, nonce);
    let begun = Exchange::begin(first, users.verifier(&start.user), end_point, plus, &nonce);
    let (answer, exchange) = match begun {
        Ok(begun) => begun,
        Err(refused) => return Ok(Err(refused)),
    };
    wire.feed(Backend::Authentication(Authentication::SASLContinue(answer.into())))?;
    wire.flush().await?;
    Ok(exchange.end(&password(wire).await?))
}

async fn password(wire: &mut Wire) -> Result<Bytes, End> {
    match wire.next(LOGIN_BYTES).await? {
        Some(Frontend::Password(body)) => Ok(body),
        Some(_) => Err(Fault::malformed("a password was expected").into()),
        None => Err(End::Gone),
    }
}

/// Mechanism and data of the first response.
fn initial(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.iter().position(|&byte| byte == 0)?;
    let mechanism = std::str::from_utf8(&body[..end]).ok()?;
    let (length, data) = body[end + 1..].split_at_checked(4)?;
    let length = length.iter().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
    (data.len() == length).then_some((mechanism, data))
}

/// Says why, and closes.
pub(super) async fn refuse(mut wire: Wire, fault: &Fault) {
    if wire.feed(Backend::ErrorResponse(fault.info().into())).is_ok() {
        let _ = tokio::time::timeout(REGRET, wire.close()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_start_up_message_and_of_its_options_are_read() {
        let said =
            pairs(b"user\0ana\0Application_Name\0psql\0options\0-c statement_timeout=5s --search-path=public\0\0");
        let said = said.unwrap();
        assert_eq!(said["application_name"], "psql");
        assert_eq!(said["statement_timeout"], "5s");
        assert_eq!(said["search_path"], "public");
        assert!(pairs(b"user\0ana\0options\0-x\0\0").is_err());
        assert!(pairs(b"user").is_err());
    }

    #[test]
    fn a_first_response_that_is_cut_is_none() {
        assert_eq!(initial(b"SCRAM-SHA-256\0\0\0\0\x03n,,"), Some(("SCRAM-SHA-256", &b"n,,"[..])));
        for broken in [&b""[..], b"SCRAM", b"SCRAM\0\0\0", b"SCRAM\0\0\0\0\x09n,,", b"SCRAM\0\xff\xff\xff\xff"] {
            assert_eq!(initial(broken), None, "{broken:?}");
        }
    }
}
