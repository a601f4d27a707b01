//! A client. Commands: echo <size>…, ping-pong <rounds>, wrong-key, vectors. BASE_URL is the server's, EHBP_KEY the key
//! that it has proven, in hexadecimal. Prints JSON.
mod ehbp;
mod http;
mod vectors;

use ehbp::{PublicKey, Response, Result, Sender, X25519, parse_key, read_frame};
use hpke::Kem;
use std::env::{args, var};
use std::io::Read;
use std::sync::mpsc;
use std::thread::{JoinHandle, spawn};

const FRAME_SIZE: usize = 8 << 10;

fn main() -> Result<()> {
    let words: Vec<String> = args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("echo") => echo(&fetch_key()?, &words[1..]),
        Some("ping-pong") => ping_pong(&fetch_key()?, words[1].parse()?),
        Some("wrong-key") => wrong_key(&X25519::gen_keypair().1),
        Some("vectors") => vectors::check(),
        _ => Err("no such command".into()),
    }
}

/// Sends bodies of these sizes, and compares while they come back.
fn echo(key: &PublicKey, sizes: &[String]) -> Result<()> {
    for size in sizes {
        let body: Vec<u8> = b"0123456789abcdef".iter().copied().cycle().take(size.parse()?).collect();
        let (sink, pieces) = mpsc::sync_channel(1);
        let sent = body.clone();
        let source = spawn(move || sent.chunks(FRAME_SIZE).try_for_each(|piece| sink.send(piece.to_vec())));
        let mut answer = start(key, pieces)?;
        let mut back = Vec::new();
        while let Some(piece) = answer.next()? {
            back.extend(piece);
        }
        if back != body {
            return Err(format!("{size} bytes came back as {} others", back.len()).into());
        }
        source.join().map_err(|_| "the body broke off")??;
        answer.finish()?;
    }
    println!("{{\"echoed\":{}}}", sizes.len());
    Ok(())
}

/// Sends each piece only when the one before has come back.
fn ping_pong(key: &PublicKey, rounds: usize) -> Result<()> {
    let (turn, pieces) = mpsc::sync_channel(1);
    turn.send(b"0".to_vec())?;
    let mut answer = start(key, pieces)?;
    for round in 0..rounds {
        if answer.next()?.as_deref() != Some(round.to_string().as_bytes()) {
            return Err(format!("round {round} brought something else").into());
        }
        if round + 1 < rounds {
            turn.send((round + 1).to_string().into_bytes())?;
        }
    }
    drop(turn);
    if answer.next()?.is_some() {
        return Err("there was more".into());
    }
    println!("{{\"rounds\":{rounds}}}");
    answer.finish()
}

fn wrong_key(key: &PublicKey) -> Result<()> {
    let mut sender = Sender::new(key)?;
    let (mut body, from) = post(&sender)?;
    body.write(&sender.seal(b"secret")?)?;
    body.end()?;
    let mut answer = http::read_answer(from)?;
    let mut problem = String::new();
    answer.read_to_string(&mut problem)?;
    let kind = problem.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("not a problem document")?;
    println!("{{\"status\":{},\"type\":\"{kind}\",\"media\":\"{}\"}}", answer.status, answer.field("content-type").unwrap_or(""));
    Ok(())
}

/// The key that the server offers, if it is the one that was proven.
fn fetch_key() -> Result<PublicKey> {
    let (_, from) = http::request(&var("BASE_URL")?, "GET", "/.well-known/hpke-keys", &[])?;
    let mut answer = http::read_answer(from)?;
    if answer.status != 200 || answer.field("content-type") != Some("application/ohttp-keys") {
        return Err(format!("no keys: {}", answer.status).into());
    }
    let mut config = Vec::new();
    answer.read_to_end(&mut config)?;
    let key = parse_key(&config)?;
    if vectors::hex(&config[3..35]) != var("EHBP_KEY")? {
        return Err("the server offers another key than it has proven".into());
    }
    Ok(key)
}

struct Answer {
    opener: Response,
    body: http::Answer,
    upload: JoinHandle<std::result::Result<(), String>>,
}

impl Answer {
    /// The plaintext of the next frame; none behind the last one.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match read_frame(&mut self.body)? {
            Some(ciphertext) => Ok(Some(self.opener.open(&ciphertext)?)),
            None => Ok(None),
        }
    }

    fn finish(self) -> Result<()> {
        Ok(self.upload.join().map_err(|_| "the upload broke off")??)
    }
}

/// Begins a request, whose body is written while the answer is read.
fn start(key: &PublicKey, pieces: mpsc::Receiver<Vec<u8>>) -> Result<Answer> {
    let mut sender = Sender::new(key)?;
    let (enc, secret) = (sender.enc.clone(), sender.secret()?);
    let (body, from) = post(&sender)?;
    let upload = spawn(move || send_all(&mut sender, body, pieces).map_err(|error| error.to_string()));
    let body = http::read_answer(from)?;
    let nonce = body.field("ehbp-response-nonce").ok_or("not one response nonce")?;
    if body.status != 200 || !body.is_chunked() || nonce.len() != 64 || nonce.to_lowercase() != nonce {
        return Err(format!("not an encrypted answer: {}", body.status).into());
    }
    Ok(Answer { opener: Response::new(&secret, &enc, &vectors::unhex(nonce)?)?, body, upload })
}

fn send_all(sender: &mut Sender, mut body: http::Body, pieces: mpsc::Receiver<Vec<u8>>) -> Result<()> {
    for piece in pieces {
        body.write(&sender.seal(&piece)?)?;
    }
    body.end()
}

fn post(sender: &Sender) -> Result<(http::Body, std::io::BufReader<std::net::TcpStream>)> {
    http::request(&var("BASE_URL")?, "POST", "/echo", &[
        ("ehbp-encapsulated-key", &vectors::hex(&sender.enc)),
        ("transfer-encoding", "chunked"),
        ("content-type", "text/plain"),
    ])
}
