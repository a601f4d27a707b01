//! As much of HTTP/1.1 as a client needs that writes its body while it reads the answer.
use crate::ehbp::Result;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub struct Body(TcpStream);

impl Body {
    /// A chunk of the body.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write!(self.0, "{:x}\r\n", bytes.len())?;
        self.0.write_all(bytes)?;
        Ok(self.0.write_all(b"\r\n")?)
    }

    pub fn end(mut self) -> Result<()> {
        Ok(self.0.write_all(b"0\r\n\r\n")?)
    }
}

pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    from: BufReader<TcpStream>,
    /// Of the current chunk, or of the body if its length was announced.
    left: usize,
    chunked: bool,
}

impl Answer {
    /// The value of the one field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(given, _)| given == name);
        let value = found.next().map(|(_, value)| value.as_str());
        if found.next().is_none() { value } else { None }
    }

    pub fn is_chunked(&self) -> bool {
        self.chunked
    }
}

impl Read for Answer {
    /// Ends at the last chunk only: a connection that ends before is an error.
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            if !self.chunked {
                return Ok(0);
            }
            let mut line = String::new();
            self.from.read_line(&mut line)?;
            self.left = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
            if self.left == 0 {
                self.from.read_line(&mut line)?;
                self.chunked = false;
                return Ok(0);
            }
        }
        let most = target.len().min(self.left);
        let read = self.from.read(&mut target[..most])?;
        if read == 0 && most > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        if self.left == 0 && self.chunked {
            self.from.read_exact(&mut [0; 2])?;
        }
        Ok(read)
    }
}

/// Sends a request's head. The answer can be read from another thread than the body is written in.
pub fn request(base: &str, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<(Body, BufReader<TcpStream>)> {
    let host = base.strip_prefix("http://").ok_or("only http")?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n")?;
    for (name, value) in fields {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    let from = BufReader::new(stream.try_clone()?);
    Ok((Body(stream), from))
}

pub fn read_answer(mut from: BufReader<TcpStream>) -> Result<Answer> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_string());
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)).ok_or("no answer")?.parse()?;
    let fields: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_string())))
        .collect();
    let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let chunked = value("transfer-encoding") == Some("chunked");
    let left = value("content-length").map_or(Ok(0), str::parse)?;
    Ok(Answer { status, from, left, chunked, fields })
}
