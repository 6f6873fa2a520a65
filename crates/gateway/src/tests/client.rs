//! The client's side of the harness.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::Harness;

type ClientConnection = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.transpose().expect("text").unwrap_or("")
    }

    /// The stable code of an error, in any format.
    pub(super) fn code(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        let code = error["code"]
            .as_str()
            .or(error["details"][0]["reason"].as_str());
        code.expect("an error with a code").to_owned()
    }
}

impl Harness {
    /// Sends a request and returns the answer as soon as its head is there.
    pub(super) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        // So that ids and rows sort by the order of the requests.
        self.advance(1);
        let (mut sender, connection) = self.connect().await;
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    }

    /// A connection of a client, which ends with its second half.
    pub(super) async fn connect(&self) -> (SendRequest<Full<Bytes>>, ClientConnection) {
        let stream = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        http1::handshake(TokioIo::new(stream)).await.expect("HTTP")
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.open(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }

    pub(super) fn request(&self, method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.api_key))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .expect("a request")
    }

    pub(super) fn chat_request(&self, body: &str) -> Request<Full<Bytes>> {
        self.request(Method::POST, "/v1/chat/completions", body)
    }

    pub(super) async fn chat(&self, body: &str) -> Answer {
        self.send(self.chat_request(body)).await
    }

    pub(super) async fn messages(&self, body: &str) -> Answer {
        self.send(self.request(Method::POST, "/v1/messages", body))
            .await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, "")).await
    }

    /// A raw exchange that ends when the server closes.
    pub(super) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(5), reading)
            .await
            .expect("closed")
            .expect("read");
        String::from_utf8_lossy(&answer).into_owned()
    }
}
