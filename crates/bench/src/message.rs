//! As much of HTTP/1.1 as both sides need: messages from peers that are known to behave.

use anyhow::{Context, bail};
use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes that were read from a connection and not used yet.
pub(crate) struct Reader {
    bytes: Vec<u8>,
}

/// Longest message: more than the largest body measured, with room.
const MAX_BYTES: usize = 4 * 1024 * 1024;

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(128 * 1024),
        }
    }

    /// The next message: length of its head, and head and body as they came. `None`: the peer has closed.
    pub(crate) async fn next(
        &mut self,
        stream: &mut TcpStream,
    ) -> anyhow::Result<Option<(usize, &[u8])>> {
        // Nobody sends the next message before this one is answered, so what is there belongs to one message.
        self.bytes.clear();
        let head = loop {
            if !self.fill(stream).await? {
                return Ok(None);
            }
            if let Some(at) = memmem::find(&self.bytes, b"\r\n\r\n") {
                break at + 4;
            }
        };
        match length(&self.bytes[..head])? {
            Some(length) => {
                while self.bytes.len() < head + length {
                    self.fill_more(stream).await?;
                }
            }
            None => {
                while !self.bytes.ends_with(b"\r\n0\r\n\r\n") {
                    self.fill_more(stream).await?;
                }
            }
        }
        Ok(Some((head, &self.bytes)))
    }

    async fn fill_more(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        if !self.fill(stream).await? {
            bail!("the connection was closed in the middle of a message");
        }
        Ok(())
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> anyhow::Result<bool> {
        if self.bytes.len() > MAX_BYTES {
            bail!("a message is too long");
        }
        self.bytes.reserve(16 * 1024);
        Ok(stream.read_buf(&mut self.bytes).await? > 0)
    }
}

/// The length of the body; `None`: it comes in chunks.
fn length(head: &[u8]) -> anyhow::Result<Option<usize>> {
    let head = std::str::from_utf8(head).context("a head is not text")?;
    let mut length = 0;
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("content-length")?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(None);
        }
    }
    Ok(Some(length))
}

/// How many events a chunked stream has, however the chunks cut them.
pub(crate) fn events(mut chunks: &[u8]) -> anyhow::Result<u64> {
    let mut text = Vec::with_capacity(chunks.len());
    while let Some(end) = memmem::find(chunks, b"\r\n") {
        let size = std::str::from_utf8(&chunks[..end]).context("a chunk's size is not text")?;
        let size = usize::from_str_radix(size, 16).context("a chunk's size")?;
        let chunk = chunks.get(end + 2..end + 2 + size);
        text.extend_from_slice(chunk.context("a chunk is cut")?);
        chunks = chunks.get(end + 4 + size..).unwrap_or_default();
    }
    Ok(memmem::find_iter(&text, b"data: ").count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_across_chunks() {
        let chunks = b"8\r\ndata: a\n\r\n4\r\n\ndat\r\n6\r\na: b\n\n\r\n0\r\n\r\n";
        assert_eq!(events(chunks).ok(), Some(2));
        assert!(events(b"9\r\ndata").is_err());
    }

    #[test]
    fn a_body_has_a_length_or_comes_in_chunks() {
        let length = |head: &str| length(head.as_bytes()).ok();
        assert_eq!(
            length("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"),
            Some(Some(12))
        );
        assert_eq!(
            length("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            Some(None)
        );
        assert_eq!(length("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some(Some(0)));
        assert_eq!(length("GET / HTTP/1.1\r\ncontent-length: a\r\n\r\n"), None);
    }
}
