//! What there is to be read on a connection, seen by a look that ends.
//!
//! A read through TLS goes on until it has a piece of the answer, or nothing is left to be read; what a provider sends
//! besides, as tickets for later connections (RFC 8446, 4.6.1), is no piece of an answer, and may come for as long as it
//! likes. Whoever waits for an answer does that in turn with all others. Who looks at a connection that nobody waits for
//! has no turn, so here no more is read than what may be there by right.

use std::io::{self, Read};
use std::task::{Context, Poll, ready};

use rustls::ClientConnection;
use tokio::net::TcpStream;

use crate::connect::Io;

/// How often is read what comes behind an answer, 4 KiB at most each time. The last read finds nothing, so there is room
/// for more tickets than a server sends that sends them late.
const MOST_READS: usize = 2;

/// Whether nothing came behind the last answer but what is TLS's own, and not much of that.
///
/// Other than a poll it wakes nobody, and no budget of a task makes it say that nothing is there.
pub(super) fn is_quiet(io: &mut Io) -> bool {
    match io {
        Io::Http(tcp) => {
            let read = tcp.inner().try_read(&mut [0; 1]);
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        }
        Io::Https(tls) => {
            let (tcp, session) = tls.inner_mut().get_mut();
            let mut socket = Socket(tcp.inner().inner());
            for _ in 0..MOST_READS {
                if !is_dry(session) {
                    return false;
                }
                match session.read_tls(&mut socket) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                }
            }
            false
        }
    }
}

/// Waits until a read may bring something. Reads nothing.
pub(super) fn poll_readable(io: &mut Io, cx: &mut Context<'_>) -> Poll<()> {
    let socket = match io {
        Io::Http(tcp) => tcp.inner(),
        Io::Https(tls) => {
            let (tcp, session) = tls.inner_mut().get_mut();
            if !is_dry(session) {
                return Poll::Ready(());
            }
            tcp.inner().inner()
        }
    };
    // An error is found by the read.
    let _ = ready!(socket.poll_read_ready(cx));
    Poll::Ready(())
}

/// Whether TLS has nothing to tell of what was read: neither data, nor an end, nor an error.
fn is_dry(session: &mut ClientConnection) -> bool {
    session
        .process_new_packets()
        .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
}

/// A socket from which TLS reads what is there.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use http::Uri;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::unconstrained;
    use tower_service::Service;

    use super::*;
    use crate::connect::tests::tls;

    fn is_readable(io: &mut Io) -> bool {
        let readable = unconstrained(poll_fn(|cx| poll_readable(io, cx)));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        pin!(readable).poll(&mut cx).is_ready()
    }

    #[tokio::test]
    async fn a_connection_is_readable_when_something_came() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut io = Io::Http(TokioIo::new(near.expect("a connection")));
        let (mut far, _) = far.expect("a client");
        assert!(!is_readable(&mut io));
        far.write_all(b"a").await.expect("written");
        // Until it is known here.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(is_readable(&mut io));
        assert!(is_readable(&mut io), "it was not read");
        assert!(!is_quiet(&mut io));
        assert!(is_quiet(&mut io), "now it was");
        drop(far);
        poll_fn(|cx| poll_readable(&mut io, cx)).await;
        assert!(!is_quiet(&mut io), "it is closed");
    }

    #[tokio::test]
    async fn what_tls_has_read_before_is_readable() {
        let (port, serving) = tls::server(tls::GOOD, tls::BOTH);
        let url: Uri = format!("https://provider.example:{port}/")
            .parse()
            .expect("a URL");
        let io = tls::trusting(tls::AUTHORITY).call(url).await;
        let mut io = TokioIo::new(io.expect("a connection"));
        io.write_all(b"hello").await.expect("written");
        poll_fn(|cx| poll_readable(io.inner_mut(), cx)).await;
        let mut some = [0; 3];
        io.read_exact(&mut some).await.expect("readable");
        serving.join().expect("no panic");
        assert!(is_readable(io.inner_mut()), "nothing else will come");
        assert!(!is_quiet(io.inner_mut()));
        io.read_exact(&mut some[..2]).await.expect("readable");
        assert_eq!(&some[..2], b"re");
    }
}
