//! A request as it stands, byte for byte, and what comes back: a client would tidy both.
use crate::Answer;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::{
    io::{Error, ErrorKind, Result},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends `sent` to the plain HTTP address `url`, and reads until the other side hangs up: it should be asked to, with
/// `Connection: close`. Interim answers are left out.
pub async fn exchange(url: &str, sent: &[u8]) -> Result<Answer> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    let (mut reader, mut writer) = TcpStream::connect(address).await?.into_split();
    let mut bytes = Vec::new();
    let read = async {
        let (_, read) = tokio::join!(writer.write_all(sent), reader.read_to_end(&mut bytes));
        read
    };
    let read = timeout(Duration::from_secs(20), read).await.map_err(|_| Error::from(ErrorKind::TimedOut))?;
    let what = String::from_utf8_lossy(sent).lines().next().unwrap_or_default().chars().take(120).collect();
    // Whoever does not want all that was sent hangs up rudely; what it said before counts.
    match parse(what, &bytes, sent.starts_with(b"HEAD ")) {
        Some(answer) => Ok(answer),
        None => Err(read.err().unwrap_or_else(|| Error::new(ErrorKind::UnexpectedEof, "not a whole answer"))),
    }
}

fn parse(what: String, mut bytes: &[u8], head_only: bool) -> Option<Answer> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let status: u16 = std::str::from_utf8(lines.next()?).ok()?.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            bytes = rest;
            continue;
        }
        let mut headers = HeaderMap::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            headers.append(HeaderName::from_bytes(&line[..colon]).ok()?, value);
        }
        let bytes = if head_only { rest.to_vec() } else { body(&headers, rest)? };
        return Some(Answer { what, status, headers, bytes });
    }
}

fn body(headers: &HeaderMap, bytes: &[u8]) -> Option<Vec<u8>> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return chunks(bytes);
    }
    match text("content-length") {
        Some(length) => bytes.get(..length.parse().ok()?).map(<[u8]>::to_vec),
        None => Some(bytes.to_vec()),
    }
}

fn chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(all);
        }
        all.extend(bytes.get(line + 2..line + 2 + size)?);
        bytes = bytes.get(line + 4 + size..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u16, String)> {
        let answer = parse(String::new(), text.as_bytes(), false)?;
        Some((answer.status, String::from_utf8(answer.bytes).unwrap()))
    }

    #[test]
    fn whole_answers_are_read_and_broken_ones_are_none() {
        let said = |status, body: &str| Some((status, body.to_owned()));
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), said(200, "ok"));
        assert_eq!(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), said(204, ""));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(read(chunked), said(200, "abcde"));
        assert_eq!(read(&chunked[..chunked.len() - 6]), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\n"), None);
    }
}
