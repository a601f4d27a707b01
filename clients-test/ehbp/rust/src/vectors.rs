//! Vectors of other implementations, from standard input: this one opens what they sealed, and seals the same.
use crate::ehbp::{Response, Result, open_request, plaintext_of, read_frame};
use std::collections::HashMap;
use std::io::stdin;

/// Reads lines of a name and a value in hexadecimal.
pub fn check() -> Result<()> {
    let mut given = HashMap::new();
    for line in stdin().lines() {
        let line = line?;
        let (name, value) = line.split_once(' ').ok_or("not a vector")?;
        given.insert(name.to_string(), unhex(value)?);
    }
    let mut checked = Vec::new();
    let mut same = |name: &str, value: &[u8]| -> Result<()> {
        match given.get(name) {
            None => Ok(()),
            Some(expected) if expected == value => {
                checked.push(format!("\"{name}\""));
                Ok(())
            }
            Some(expected) => Err(format!("{name} is {}, not {}", hex(value), hex(expected)).into()),
        }
    };

    if let Some(body) = given.get("requestBody") {
        let opened = open_request(&given["ikmR"], &given["enc"], body)?;
        same("keyConfig", &opened.key_config)?;
        same("request", &opened.plaintext)?;
        same("exportedSecret", &opened.secret)?;
    }
    let derive = || Response::new(&given["exportedSecret"], &given["enc"], &given["responseNonce"]);
    same("responseKey", &derive()?.key)?;
    same("responseNonceBase", &derive()?.base)?;
    if let Some(body) = given.get("responseBody") {
        let mut opener = derive()?;
        same("response", &plaintext_of(body, |ciphertext| opener.open(ciphertext))?)?;
        let (mut opener, mut sealer, mut rest, mut again) = (derive()?, derive()?, &body[..], Vec::new());
        while let Some(ciphertext) = read_frame(&mut rest)? {
            again.extend(sealer.seal(&opener.open(&ciphertext)?)?);
        }
        // Frames of no length are left out.
        if !body.ends_with(&again) {
            return Err("sealed again, the response is another".into());
        }
        checked.push("\"responseBody\"".into());
    }
    println!("{{\"checked\":[{}]}}", checked.join(","));
    Ok(())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Result<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| Ok(u8::from_str_radix(text.get(at..at + 2).ok_or("odd")?, 16)?)).collect()
}
