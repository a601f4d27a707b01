//! A client of the gateway from other hands: the crates `ohttp` and `bhttp`. Transport is its caller's.
//! Arguments: `whole` or `stream`, the file of key configurations, method, target, date. The body comes from the file
//! named last. Writes the length (four bytes) and the encapsulated request, reads the response to its end, and writes
//! the status, a line end, and the content.
use bhttp::{Message, Mode};
use futures::{executor::block_on, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io::{Cursor, Read, Result, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn exchange(request: &[u8]) -> Vec<u8> {
    let mut out = std::io::stdout();
    out.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
    out.write_all(request).unwrap();
    out.flush().unwrap();
    let mut response = Vec::new();
    std::io::stdin().read_to_end(&mut response).unwrap();
    response
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let keys = std::fs::read(&args[2]).unwrap();
    let body = std::fs::read(&args[6]).unwrap();
    let mut message = Message::request(args[3].clone().into(), "https".into(), "workload.example".into(), args[4].clone().into());
    message.put_header("date", args[5].as_str());
    message.put_header("x-latin", &b"M\xfcller"[..]);
    message.write_content(&body);
    let mode = if args[1] == "whole" { Mode::KnownLength } else { Mode::IndeterminateLength };
    let mut request = Vec::new();
    message.write_bhttp(mode, &mut request).unwrap();

    ohttp::init();
    let client = ohttp::ClientRequest::from_encoded_config_list(&keys).unwrap();
    let response = if args[1] == "whole" {
        let (sealed, opener) = client.encapsulate(&request).unwrap();
        opener.decapsulate(&exchange(&sealed)).unwrap()
    } else {
        let kept = Kept::default();
        let mut sealer = client.encapsulate_stream(kept.clone()).unwrap();
        block_on(async {
            for piece in request.chunks(5000) {
                sealer.write_all(piece).await.unwrap();
            }
            sealer.close().await.unwrap();
        });
        let sealed = kept.0.lock().unwrap().clone();
        let answer = exchange(&sealed);
        let mut opened = Vec::new();
        block_on(sealer.response(&answer[..]).unwrap().read_to_end(&mut opened)).unwrap();
        opened
    };
    let response = Message::read_bhttp(&mut Cursor::new(response)).unwrap();
    let mut out = std::io::stdout();
    out.write_all(format!("{}\n", response.control().status().unwrap().code()).as_bytes()).unwrap();
    out.write_all(response.content()).unwrap();
}
