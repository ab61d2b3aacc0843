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

/// Sends `sent` to the plain HTTP address `url`, and reads one answer; an interim one is left out.
pub async fn exchange(url: &str, sent: &[u8]) -> Result<Answer> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    let (mut reader, mut writer) = TcpStream::connect(address).await?.into_split();
    let what: String = String::from_utf8_lossy(sent).lines().next().unwrap_or_default().chars().take(120).collect();
    let head_only = sent.starts_with(b"HEAD ");
    let read = async {
        let mut bytes = Vec::new();
        loop {
            let read = reader.read_buf(&mut bytes).await;
            let ended = !matches!(read, Ok(1..));
            if let Some(answer) = parse(&what, &bytes, head_only, ended) {
                return Ok(answer);
            }
            if read? == 0 {
                let said = String::from_utf8_lossy(&bytes).chars().take(100).collect::<String>();
                return Err(Error::new(ErrorKind::UnexpectedEof, format!("not a whole answer: {said}")));
            }
        }
    };
    // Whoever does not want all that was sent hangs up rudely; what it says before counts.
    let write = async {
        let _ = writer.write_all(sent).await;
        std::future::pending().await
    };
    let answer = async {
        tokio::select! { answer = read => answer, () = write => Err(ErrorKind::Other.into()) }
    };
    timeout(Duration::from_secs(20), answer).await.map_err(|_| Error::from(ErrorKind::TimedOut))?
}

/// A whole answer, if that is what `bytes` are; `ended` when nothing will follow.
fn parse(what: &str, mut bytes: &[u8], head_only: bool, ended: bool) -> Option<Answer> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let status: u16 = std::str::from_utf8(lines.next()?).ok()?.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) && status != 101 {
            bytes = rest;
            continue;
        }
        let mut headers = HeaderMap::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            headers.append(HeaderName::from_bytes(&line[..colon]).ok()?, value);
        }
        let bodiless = head_only || [101, 204, 304].contains(&status);
        let bytes = if bodiless { rest.to_vec() } else { body(&headers, rest, ended)? };
        return Some(Answer { what: what.to_owned(), status, headers, bytes });
    }
}

fn body(headers: &HeaderMap, bytes: &[u8], ended: bool) -> Option<Vec<u8>> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return chunks(bytes);
    }
    match text("content-length") {
        Some(length) => bytes.get(..length.parse().ok()?).map(<[u8]>::to_vec),
        None => ended.then(|| bytes.to_vec()),
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
        let answer = parse("", text.as_bytes(), false, true)?;
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
