//! Dials providers: every address is vetted at the moment of the connection.
//!
//! The check sits in the connector and not in a URL check or a resolver hook, because clients do not ask a
//! resolver about IP literals, and because a name may answer differently at check and at dial.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use domain::address;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::BoxError;

/// A connection to a provider.
pub(crate) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Which addresses beyond the public ones may be dialed. Set in the configuration, never by API.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    /// Ranges that may be dialed although they are not public, and to which plain `http` may be spoken.
    /// Addresses where clouds keep instance credentials stay refused even inside a range.
    pub allow: Vec<IpNet>,
}

/// Why no connection was made. The text names no path, query or header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name stands for an address that is not public; nothing was dialed.
    #[error("the address of the provider is not a public one")]
    Refused,
    /// `http` to an address outside the configured ranges, or another scheme.
    #[error("the provider is not reached by https")]
    Scheme,
    /// The URL has no host.
    #[error("the base URL has no host")]
    NoHost,
    /// The name has no address.
    #[error("the name of the provider does not resolve")]
    Resolve(#[source] io::Error),
    /// No address answered.
    #[error("the provider does not accept connections")]
    Dial(#[source] io::Error),
    /// Name, connection and TLS together took too long.
    #[error("the connection to the provider took too long")]
    TimedOut,
}

/// What a name resolves to.
pub(crate) type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Asks the addresses of a host and port; the system's resolver outside tests.
pub(crate) type Resolver = Arc<dyn Fn(String, u16) -> Resolved + Send + Sync>;

/// More answers than this are not looked at.
const MAX_ANSWERS: usize = 64;

/// Connects by TCP to vetted addresses.
#[derive(Clone)]
pub(crate) struct VettedConnector {
    policy: Arc<AddressPolicy>,
    resolver: Resolver,
}

impl VettedConnector {
    /// A connector that asks the system's resolver.
    pub(crate) fn new(policy: AddressPolicy) -> Self {
        Self::with_resolver(policy, Arc::new(|host, port| Box::pin(lookup(host, port))))
    }

    /// A connector that asks `resolver`.
    pub(crate) fn with_resolver(policy: AddressPolicy, resolver: Resolver) -> Self {
        Self {
            policy: Arc::new(policy),
            resolver,
        }
    }

    /// The addresses of `uri` that may be dialed.
    ///
    /// One answer that may not be dialed refuses all: a name that is half public is an attack or a mistake.
    async fn vet(&self, uri: &Uri) -> Result<Vec<SocketAddr>, ConnectError> {
        let plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(ConnectError::Scheme),
        };
        let port = uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
        let host = uri.host().ok_or(ConnectError::NoHost)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let mut addresses = match host.parse::<IpAddr>() {
            Ok(literal) => vec![SocketAddr::new(literal, port)],
            Err(_) => (self.resolver)(host.to_owned(), port)
                .await
                .map_err(ConnectError::Resolve)?,
        };
        if addresses.is_empty() {
            return Err(ConnectError::Resolve(io::ErrorKind::NotFound.into()));
        }
        for address in &addresses {
            let ip = address.ip();
            let listed = self.policy.allow.iter().any(|range| range.contains(&ip));
            if address::is_metadata(ip) || !(listed || address::is_public(ip)) {
                return Err(ConnectError::Refused);
            }
            if plain && !listed {
                return Err(ConnectError::Scheme);
            }
        }
        addresses.truncate(MAX_ANSWERS);
        Ok(addresses)
    }
}

impl Service<Uri> for VettedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { dial(&connector.vet(&uri).await?).await })
    }
}

/// The connector of the HTTP client: vetted TCP, then TLS, both within one time limit.
#[derive(Clone)]
pub(crate) struct Connector {
    inner: HttpsConnector<VettedConnector>,
    limit: Duration,
}

impl Connector {
    /// Puts TLS with the system's roots on top of `tcp`; Mozilla's roots where the system has none.
    ///
    /// # Errors
    /// [`rustls::Error`] when the crypto library offers no protocol version.
    pub(crate) fn new(tcp: VettedConnector, limit: Duration) -> Result<Self, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self::trusting(tcp, limit, roots)
    }

    fn trusting(
        tcp: VettedConnector,
        limit: Duration,
        roots: rustls::RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self { inner, limit })
    }
}

impl Service<Uri> for Connector {
    type Response = Io;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ConnectError::TimedOut.into()),
            }
        })
    }
}

impl fmt::Debug for VettedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VettedConnector")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

async fn lookup(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host.as_str(), port))
        .await?
        .collect())
}

/// Tries the addresses in the resolver's order; the first that accepts wins.
async fn dial(addresses: &[SocketAddr]) -> Result<TokioIo<TcpStream>, ConnectError> {
    // So that one address that swallows packets does not eat the whole limit of the outer connector.
    const EACH: Duration = Duration::from_secs(3);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for (at, address) in addresses.iter().enumerate() {
        let connecting = TcpStream::connect(address);
        let outcome = if at + 1 < addresses.len() {
            tokio::time::timeout(EACH, connecting)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            connecting.await
        };
        match outcome {
            Ok(stream) => {
                // Small requests leave at once; a refusal to set the option costs only latency.
                let _ = stream.set_nodelay(true);
                return Ok(TokioIo::new(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Dial(last))
}

#[cfg(test)]
pub(crate) mod tests;
