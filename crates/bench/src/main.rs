//! What `make bench` measures with: a fast upstream and a load generator, on one thread. Never shipped.
//!
//! Both speak just enough HTTP/1.1 over bare sockets, so that little of the core that they share goes into them and
//! a proxy between them is what limits. `scripts/bench.py` starts them; start reading there, then in `peers`.

mod load;
mod message;
mod peers;
mod upstream;

use std::hint::spin_loop;
use std::io;
use std::thread;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["peers"] => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start the runtime")?;
            runtime.block_on(peers::run())
        }
        ["idle"] => idle(),
        _ => bail!("usage: bench peers | idle"),
    }
}

/// Keeps its core from being halted, until standard input is closed. Whoever starts it gives it the scheduling class
/// that yields to all others.
#[expect(
    clippy::print_stdout,
    reason = "whoever starts it reads there that it runs"
)]
fn idle() -> anyhow::Result<()> {
    // Ends with the process.
    thread::spawn(|| -> ! {
        loop {
            spin_loop();
        }
    });
    println!("idle");
    io::copy(&mut io::stdin(), &mut io::sink()).context("standard input")?;
    Ok(())
}
