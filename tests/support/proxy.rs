//! A way to a server that loses what it is told to lose: real requests, real answers, real broken connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What happens to a request whose first line holds all of the given words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server does it; its answer is lost. Once.
    AnswerLost,
    /// The server does it; its answer, and everything after, is lost until the fault is taken away.
    AnswerLostThenSilence,
    /// It never arrives, nor does anything after it, until the fault is taken away.
    Silence,
    /// It never arrives, and others do, until the fault is taken away.
    Lost,
}

struct State {
    fault: Option<(Fault, Vec<String>)>,
    silent: bool,
    hits: usize,
}

/// A listener on loopback in front of a server.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// In front of `http://HOST:PORT`.
    pub fn before(endpoint: &str) -> Proxy {
        let server = endpoint.trim_start_matches("http://").to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { fault: None, silent: false, hits: 0 }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, state) = (server.clone(), Arc::clone(&shared));
                std::thread::spawn(move || forward(&client, &server, &state));
            }
        });
        Proxy { endpoint, state }
    }

    /// From now on this happens to requests whose first line holds all of `words`.
    pub fn inject(&self, fault: Fault, words: &[&str]) {
        let mut state = self.state.lock().unwrap();
        state.fault = Some((fault, words.iter().map(|w| (*w).to_string()).collect()));
    }

    /// From now on everything goes through.
    pub fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        (state.fault, state.silent) = (None, false);
    }

    /// How often a fault struck.
    pub fn hits(&self) -> usize {
        self.state.lock().unwrap().hits
    }
}

/// One request and its answer; the connection then closes.
fn forward(client: &TcpStream, server: &str, state: &Mutex<State>) -> Option<()> {
    let mut from = BufReader::new(client);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head.push(line);
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let (lose_answer, lose_request, struck) = {
        let mut state = state.lock().unwrap();
        let struck = state.fault.as_ref().filter(|(_, words)| words.iter().all(|w| head[0].contains(w.as_str())));
        match struck.map(|(fault, _)| *fault) {
            _ if state.silent => (true, true, false),
            None => (false, false, false),
            Some(fault) => {
                state.silent = matches!(fault, Fault::AnswerLostThenSilence | Fault::Silence);
                if fault == Fault::AnswerLost {
                    state.fault = None;
                }
                (true, matches!(fault, Fault::Silence | Fault::Lost), true)
            }
        }
    };
    // A strike counts once the server has done what it is to do.
    let count = || state.lock().unwrap().hits += usize::from(struck);
    if lose_request {
        count();
        return None;
    }
    let mut to = TcpStream::connect(server).ok()?;
    // One request a connection, so that the end of the answer is the end of the stream.
    to.write_all(format!("{}Connection: close\r\n\r\n", head.concat()).as_bytes()).ok()?;
    to.write_all(&body).ok()?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer).ok()?;
    if lose_answer {
        count();
        return None;
    }
    (&*client).write_all(&answer).ok()
}
