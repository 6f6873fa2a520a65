//! What `make bench` measures with: a fast upstream and a load generator, each on one thread. Never shipped.
//!
//! Both speak just enough HTTP/1.1 over bare sockets, so that little of the core that they share goes into them and
//! a proxy between them is what limits. `scripts/bench.py` starts them; start reading there.

mod load;
mod message;
mod upstream;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match arguments.as_slice() {
        ["upstream"] => runtime.block_on(upstream::serve()),
        [
            "load",
            address,
            connections,
            milliseconds,
            body_bytes,
            kind,
            api_keys,
        ] => {
            let load = load::Load {
                address: address.parse().context("address")?,
                connections: connections.parse().context("connections")?,
                milliseconds: milliseconds.parse().context("milliseconds")?,
                body_bytes: body_bytes.parse().context("body bytes")?,
                streams: match *kind {
                    "json" | "translated" => None,
                    "stream" => Some(upstream::FAST),
                    "slow" => Some(upstream::SLOW),
                    other => bail!("an answer is json, translated, stream or slow, not {other}"),
                },
                asks: match *kind {
                    "translated" => load::MESSAGES,
                    _ => load::CHAT,
                },
                api_keys: api_keys.split(',').map(str::to_owned).collect(),
            };
            runtime.block_on(load::run(load))
        }
        _ => bail!(
            "usage: bench upstream | load ADDRESS CONNECTIONS MILLISECONDS BODY_BYTES json|translated|stream|slow API_KEY[,API_KEY...]"
        ),
    }
}
