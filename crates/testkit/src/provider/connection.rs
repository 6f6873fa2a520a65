//! One connection: reads requests, plays scripts.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::script::{End, Framing};
use super::{Received, Script, Shared};

const MAX_HEAD: usize = 1 << 20;

/// Serves connections until the future is dropped; then all of them end.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let shared = Arc::clone(&shared);
        let number = shared.open();
        connections.spawn(async move { serve(stream, number, &shared).await });
        while connections.try_join_next().is_some() {}
    }
}

struct Reader<'a> {
    half: OwnedReadHalf,
    buffer: Vec<u8>,
    number: usize,
    shared: &'a Shared,
}

async fn serve(stream: TcpStream, number: usize, shared: &Shared) {
    // Small writes must leave at once, or pieces would be joined.
    stream.set_nodelay(true).expect("TCP has no-delay");
    let (half, mut writer) = stream.into_split();
    let mut reader = Reader {
        half,
        buffer: Vec::new(),
        number,
        shared,
    };
    while let Some(request) = reader.request(&mut writer).await {
        let close = request
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let script = shared.decide(request);
        let played = tokio::select! {
            played = play(&script, &mut writer) => played,
            () = reader.gone() => Err(Gone),
        };
        match played {
            Ok(true) if !close => {}
            Ok(_) => return,
            Err(Gone) => return shared.left_early(),
        }
    }
}

/// The peer closed before the script was through. Reading and writing notice it; which of them does so first is chance.
struct Gone;

/// Plays a script. Answers whether the connection can carry another request.
async fn play(script: &Script, writer: &mut OwnedWriteHalf) -> Result<bool, Gone> {
    tokio::time::sleep(script.before).await;
    let mut room = match script.end {
        End::CutAfter(bytes) => bytes,
        End::Complete | End::StallAfter(_) => usize::MAX,
    };
    if script.end == End::StallAfter(0) && script.framing == Framing::Raw {
        pending::<()>().await;
    }
    if !write(writer, &script.head(), &mut room).await? {
        return Ok(false);
    }
    for (sent, piece) in script.pieces.iter().enumerate() {
        if script.end == End::StallAfter(sent) {
            pending::<()>().await;
        }
        if sent > 0 && script.between > Duration::ZERO {
            tokio::time::sleep(script.between).await;
        }
        let framed = match script.framing {
            Framing::Chunked if piece.is_empty() => continue,
            Framing::Chunked => {
                let mut framed = format!("{:x}\r\n", piece.len()).into_bytes();
                framed.extend_from_slice(piece);
                framed.extend_from_slice(b"\r\n");
                framed
            }
            _ => piece.clone(),
        };
        if !write(writer, &framed, &mut room).await? {
            return Ok(false);
        }
    }
    if matches!(script.end, End::StallAfter(_)) {
        pending::<()>().await;
    }
    if script.framing == Framing::Chunked && !write(writer, b"0\r\n\r\n", &mut room).await? {
        return Ok(false);
    }
    Ok(match script.framing {
        Framing::Lie(announced) => announced == script.pieces.iter().map(Vec::len).sum::<usize>(),
        Framing::Length | Framing::Chunked => script.end == End::Complete,
        Framing::UntilClose | Framing::Raw => false,
    })
}

/// Writes what there is room for. Answers whether all of it was written.
async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8], room: &mut usize) -> Result<bool, Gone> {
    let now = bytes.len().min(*room);
    *room -= now;
    writer.write_all(&bytes[..now]).await.map_err(|_| Gone)?;
    Ok(now == bytes.len() && *room > 0)
}

impl Reader<'_> {
    /// The next request, or `None` when the peer is through or speaks no HTTP.
    async fn request(&mut self, writer: &mut OwnedWriteHalf) -> Option<Received> {
        let end = self.head_end().await?;
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end);
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        let mut request = Received {
            connection: self.number,
            method,
            target,
            headers,
            body: Vec::new(),
            at: Instant::now(),
        };
        if request
            .header("expect")
            .is_some_and(|v| v.eq_ignore_ascii_case("100-continue"))
        {
            writer
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .ok()?;
        }
        let chunked = request
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        request.body = if chunked {
            self.chunks().await?
        } else {
            let length = request
                .header("content-length")
                .map_or(Some(0), |v| v.parse().ok())?;
            self.exactly(length).await?
        };
        request.at = Instant::now();
        Some(request)
    }

    async fn head_end(&mut self) -> Option<usize> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(at + 4);
            }
            if self.buffer.len() > MAX_HEAD || !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.line().await?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).ok()?;
            body.extend(self.exactly(size).await?);
            self.line().await?;
            if size == 0 {
                return Some(body);
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..at]).into_owned();
                self.buffer.drain(..at + 2);
                return Some(line);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads some more. `false` at the end.
    async fn more(&mut self) -> bool {
        let known = self.buffer.len();
        self.buffer.reserve(16 << 10);
        match self.half.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => false,
            Ok(_) => {
                self.shared.got(self.number, &self.buffer[known..]);
                true
            }
        }
    }

    /// Returns when the peer closes; bytes of a later request are kept meanwhile.
    async fn gone(&mut self) {
        while self.more().await {}
    }
}
