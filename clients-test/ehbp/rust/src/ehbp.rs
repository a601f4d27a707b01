//! EHBP, the Encrypted HTTP Body Protocol, written from its description: keys, frames, and both directions of them.
use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::Aes256Gcm;
use hkdf::Hkdf;
use hpke::aead::{AeadCtxS, AesGcm256};
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use sha2::Sha256;
use std::error::Error;
use std::io::{self, Read};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;
pub type X25519 = hpke::kem::X25519HkdfSha256;
pub type PublicKey = <X25519 as Kem>::PublicKey;

const REQUEST_INFO: &[u8] = b"ehbp request";
const RESPONSE_LABEL: &[u8] = b"ehbp response";
const MOST_OF_FRAME: usize = 64 << 20;

/// The one bare key configuration that a server hands out, around this key.
pub fn key_config(key: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x20], key, &[0, 4, 0, 1, 0, 2]].concat()
}

pub fn parse_key(config: &[u8]) -> Result<PublicKey> {
    let key = config.get(3..35).ok_or("too short a key configuration")?;
    if config != key_config(key) {
        return Err("not a key configuration of EHBP".into());
    }
    PublicKey::from_bytes(key).map_err(|error| error.to_string().into())
}

/// Seals the frames of one request.
pub struct Sender {
    pub enc: Vec<u8>,
    context: AeadCtxS<AesGcm256, HkdfSha256, X25519>,
}

impl Sender {
    pub fn new(key: &PublicKey) -> Result<Self> {
        let (enc, context) = hpke::setup_sender::<AesGcm256, HkdfSha256, X25519>(&OpModeS::Base, key, REQUEST_INFO)
            .map_err(|error| error.to_string())?;
        Ok(Sender { enc: enc.to_bytes().to_vec(), context })
    }

    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>> {
        Ok(frame(&self.context.seal(plaintext, b"").map_err(|error| error.to_string())?))
    }

    /// What the response will be sealed with.
    pub fn secret(&self) -> Result<[u8; 32]> {
        let mut secret = [0; 32];
        self.context.export(RESPONSE_LABEL, &mut secret).map_err(|error| error.to_string())?;
        Ok(secret)
    }
}

/// A request as the owner of its key sees it.
pub struct Opened {
    pub key_config: Vec<u8>,
    pub plaintext: Vec<u8>,
    /// What its response is sealed with.
    pub secret: [u8; 32],
}

pub fn open_request(ikm: &[u8], enc: &[u8], body: &[u8]) -> Result<Opened> {
    let (private, public) = X25519::derive_keypair(ikm);
    let enc = <X25519 as Kem>::EncappedKey::from_bytes(enc).map_err(|error| error.to_string())?;
    let mut context = hpke::setup_receiver::<AesGcm256, HkdfSha256, X25519>(&OpModeR::Base, &private, &enc, REQUEST_INFO)
        .map_err(|error| error.to_string())?;
    let plaintext = plaintext_of(body, |ciphertext| context.open(ciphertext, b"").map_err(|error| error.to_string().into()))?;
    let mut secret = [0; 32];
    context.export(RESPONSE_LABEL, &mut secret).map_err(|error| error.to_string())?;
    Ok(Opened { key_config: key_config(&public.to_bytes()), plaintext, secret })
}

/// Opens, or seals, the frames of one response.
pub struct Response {
    pub key: [u8; 32],
    pub base: [u8; 12],
    sequence: u64,
}

impl Response {
    pub fn new(secret: &[u8], enc: &[u8], nonce: &[u8]) -> Result<Self> {
        let derived = Hkdf::<Sha256>::new(Some(&[enc, nonce].concat()), secret);
        let mut response = Response { key: [0; 32], base: [0; 12], sequence: 0 };
        derived.expand(b"key", &mut response.key).map_err(|error| error.to_string())?;
        derived.expand(b"nonce", &mut response.base).map_err(|error| error.to_string())?;
        Ok(response)
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.base;
        for (byte, counted) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= counted;
        }
        self.sequence += 1;
        nonce
    }

    fn aead(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.key.into())
    }

    pub fn open(&mut self, ciphertext: &[u8]) -> Result<Vec<u8>> {
        let nonce = self.nonce();
        self.aead().decrypt(&nonce.into(), ciphertext).map_err(|_| "a frame does not open".into())
    }

    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>> {
        let nonce = self.nonce();
        Ok(frame(&self.aead().encrypt(&nonce.into(), plaintext).map_err(|error| error.to_string())?))
    }
}

fn frame(ciphertext: &[u8]) -> Vec<u8> {
    [&(ciphertext.len() as u32).to_be_bytes(), ciphertext].concat()
}

/// The next ciphertext; none behind the last one. A length of 0 is no frame.
pub fn read_frame(body: &mut impl Read) -> Result<Option<Vec<u8>>> {
    loop {
        let mut length = [0; 4];
        // Only an end in front of a frame is one.
        match body.read(&mut length[..1])? {
            0 => return Ok(None),
            _ => body.read_exact(&mut length[1..])?,
        }
        let size = u32::from_be_bytes(length) as usize;
        if size > MOST_OF_FRAME {
            return Err(io::Error::other("a frame is too large").into());
        }
        if size > 0 {
            let mut ciphertext = vec![0; size];
            body.read_exact(&mut ciphertext)?;
            return Ok(Some(ciphertext));
        }
    }
}

pub fn plaintext_of(mut body: &[u8], mut open: impl FnMut(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let mut plaintext = Vec::new();
    while let Some(ciphertext) = read_frame(&mut body)? {
        plaintext.extend(open(&ciphertext)?);
    }
    Ok(plaintext)
}
