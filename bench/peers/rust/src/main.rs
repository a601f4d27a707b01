//! An OHTTP gateway to compare speed with: the crates `ohttp` and `bhttp` on hyper, one thread. It checks nothing: no
//! replays, no dates, no limits; and it holds requests whole. Arguments: the address to listen at, the workload's URL.
use bhttp::{Message, Mode, StatusCode};
use futures::{AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, server::conn::http1, service::service_fn};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ohttp::{KeyConfig, Server, SymmetricSuite, hpke};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Sealer = Pin<Box<dyn AsyncWrite + Send>>;

/// Keeps what a sealer writes, until it is sent.
#[derive(Clone, Default)]
struct Sealed(Arc<Mutex<Vec<u8>>>);

impl Sealed {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap()).into()
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The body of a chunked response: what comes from the workload is sealed and sent as it comes.
struct Chunked {
    workload: Incoming,
    sealer: Sealer,
    sealed: Sealed,
    ended: bool,
}

impl Chunked {
    /// `Sealed` never has to be waited for.
    fn seal(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        let written = async {
            self.sealer.write_all(plaintext).await?;
            self.sealer.flush().await
        };
        Ok(written.now_or_never().ok_or("sealing waits")??)
    }
}

impl Body for Chunked {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.workload).poll_frame(cx) {
            Poll::Ready(Some(frame)) => {
                let content = frame?.into_data().map_err(|_| "the workload sent trailers")?;
                if !content.is_empty() {
                    let mut chunk = varint(content.len());
                    chunk.extend_from_slice(&content);
                    self.seal(&chunk)?;
                }
            }
            Poll::Ready(None) => {
                self.ended = true;
                // The end of the content, and of no trailers.
                self.seal(&[0, 0])?;
                self.sealer.close().now_or_never().ok_or("sealing waits")??;
            }
            // The head need not wait for the content.
            Poll::Pending if self.sealed.0.lock().unwrap().is_empty() => return Poll::Pending,
            Poll::Pending => {}
        }
        Poll::Ready(Some(Ok(Frame::data(self.sealed.take()))))
    }
}

struct Gateway {
    server: Server,
    keys: Vec<u8>,
    workload: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

type Answer = Response<Either<Full<Bytes>, Chunked>>;

impl Gateway {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Error> {
        if request.method() == Method::GET {
            return answer("application/ohttp-keys", Either::Left(self.keys.clone().into()));
        }
        let chunked = request.headers().get(CONTENT_TYPE).is_some_and(|value| value == "message/ohttp-chunked-req");
        let body = request.into_body().collect().await?.to_bytes();
        if !chunked {
            let (request, sealer) = self.server.decapsulate(&body)?;
            let (mut head, content) = self.ask(&request).await?;
            head.write_content(content.collect().await?.to_bytes());
            let mut response = Vec::new();
            head.write_bhttp(Mode::KnownLength, &mut response)?;
            return answer("message/ohttp-res", Either::Left(sealer.encapsulate(&response)?.into()));
        }
        let mut opener = self.server.clone().decapsulate_stream(&body[..]);
        let mut request = Vec::new();
        opener.read_to_end(&mut request).await?;
        let sealed = Sealed::default();
        let sealer: Sealer = Box::pin(opener.response(sealed.clone())?);
        let (head, workload) = self.ask(&request).await?;
        let mut start = Vec::new();
        head.write_bhttp(Mode::IndeterminateLength, &mut start)?;
        // Without the two bytes that end content and trailers.
        start.truncate(start.len() - 2);
        let mut body = Chunked { workload, sealer, sealed, ended: false };
        body.seal(&start)?;
        answer("message/ohttp-chunked-res", Either::Right(body))
    }

    /// Forwards a Binary HTTP request. The message returned is the head of the response.
    async fn ask(&self, request: &[u8]) -> Result<(Message, Incoming), Error> {
        let message = Message::read_bhttp(&mut std::io::Cursor::new(request))?;
        let control = message.control();
        let path = std::str::from_utf8(control.path().ok_or("not a request")?)?;
        let mut request = Request::builder()
            .method(control.method().ok_or("not a request")?)
            .uri(format!("{}{path}", self.workload))
            .header(HOST, control.authority().unwrap_or_default());
        for field in message.header().iter() {
            request = request.header(field.name(), field.value());
        }
        let content = Full::from(message.content().to_vec());
        let (head, body) = self.client.request(request.body(content)?).await?.into_parts();
        let mut response = Message::response(StatusCode::try_from(head.status.as_u16())?);
        for (name, value) in &head.headers {
            if name != CONNECTION && name != TRANSFER_ENCODING {
                response.put_header(name.as_str(), value.as_bytes());
            }
        }
        Ok((response, body))
    }
}

fn answer(media_type: &str, body: Either<Full<Bytes>, Chunked>) -> Result<Answer, Error> {
    Ok(Response::builder().header(CONTENT_TYPE, media_type).body(body)?)
}

/// An integer as RFC 9000, section 16, writes it.
fn varint(value: usize) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

async fn serve(listen: &str, workload: String) -> Result<(), Error> {
    let suite = SymmetricSuite::new(hpke::Kdf::HkdfSha256, hpke::Aead::Aes128Gcm);
    let server = Server::new(KeyConfig::new(1, hpke::Kem::X25519Sha256, vec![suite])?)?;
    let keys = KeyConfig::encode_list(&[Box::new(server.config().clone())])?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let gateway = Arc::new(Gateway { server, keys, workload, client });
    let listener = tokio::net::TcpListener::bind(listen).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| gateway.answer(request));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await {
                eprintln!("{error:?}");
            }
        });
    }
}

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (listen, workload) = args.next().zip(args.next()).ok_or("an address and the workload's URL")?;
    ohttp::init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(&listen, workload))
}
