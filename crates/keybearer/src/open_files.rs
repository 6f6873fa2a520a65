//! How many connections the operating system's limit on open files has room for.
//!
//! A process that meets this limit cannot even refuse: accepting fails, and so does whatever else opens a file. So there are
//! never more connections than it has room for with a call each, and whoever is one too many is told so.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Failure, Sort};

/// Most connections at once unless said otherwise.
pub(crate) const CONNECTIONS: u32 = 4096;
/// What is open beside connections: the database, the spool, name resolution, the listener, standard streams.
const OTHERS: u64 = 128;
/// Most clients that are being refused at once.
const REFUSALS: u64 = 256;
/// Most connections to providers that wait for their next request.
const IDLE: u64 = 16_384;
/// At least so many of each of the two.
const LEAST: u64 = 16;

/// How the files that may be open are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Connections of clients. Each call of theirs has one to a provider, too.
    pub(crate) connections: usize,
    /// Clients that are being refused.
    pub(crate) refusals: usize,
    /// Connections to providers that wait for their next request.
    pub(crate) idle: usize,
}

/// Raises the limit as far as this process may, and shares it out. `wanted`: the option `max_connections`.
///
/// # Errors
/// There is no room for as many connections as are wanted.
pub(crate) fn share(wanted: Option<u32>) -> Result<Shares, Failure> {
    let limit = raised();
    let shares = shared(limit, wanted)?;
    if wanted.is_none() && shares.connections < CONNECTIONS as usize {
        tracing::warn!(
            "this process may open {} files, so it serves {} connections at once and not {CONNECTIONS}",
            limit.unwrap_or_default(),
            shares.connections
        );
    }
    Ok(shares)
}

/// The limit, as high as it can be made; `None`: there is none.
fn raised() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    let highest = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, highest) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files");
            current
        }
    }
}

fn shared(limit: Option<u64>, wanted: Option<u32>) -> Result<Shares, Failure> {
    let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(OTHERS));
    let most = room.saturating_sub(2 * LEAST) / 2;
    let connections = match wanted {
        Some(wanted) => u64::from(wanted),
        // What is left is a quarter.
        None => u64::from(CONNECTIONS).min(room / 8 * 3).min(most).max(1),
    };
    if connections > most {
        let limit = limit.unwrap_or_default();
        let text = match most {
            0 => format!("this process may open {limit} files, which is too few to serve"),
            most => format!(
                "`max_connections` is {connections}, and this process may open {limit} files, which is enough for {most}"
            ),
        };
        return Err(Failure::new(Sort::Failed, text).hint(
            "raise the limit with LimitNOFILE= (systemd), --ulimit nofile= (Docker) or ulimit -Hn, or set a lower `max_connections`",
        ));
    }
    let left = room - 2 * connections;
    let refusals = REFUSALS.min(left / 2);
    let size = |files: u64| usize::try_from(files).unwrap_or(usize::MAX);
    Ok(Shares {
        connections: size(connections),
        refusals: size(refusals),
        idle: size(IDLE.min(left - refusals)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_is_never_more_than_the_limit() {
        // T128
        for limit in (0..200_000).step_by(7) {
            for wanted in [None, Some(1), Some(50), Some(4096), Some(60_000)] {
                let Ok(shares) = shared(Some(limit), wanted) else {
                    assert!(
                        wanted.is_some_and(|it| u64::from(it) * 2 + 160 > limit) || limit < 170
                    );
                    continue;
                };
                let Shares {
                    connections,
                    refusals,
                    idle,
                } = shares;
                let taken = 128 + 2 * connections + refusals + idle;
                assert!(taken as u64 <= limit, "{limit} {shares:?}");
                assert!(
                    connections > 0 && refusals >= 16 && idle >= 16,
                    "{limit} {shares:?}"
                );
                assert!(wanted.is_none_or(|it| it as usize == connections));
            }
        }
    }

    #[test]
    fn a_usual_limit_changes_nothing() {
        let usual = Shares {
            connections: 4096,
            refusals: 256,
            idle: 16_384,
        };
        for limit in [None, Some(1 << 20), Some(524_288), Some(65_536)] {
            assert_eq!(shared(limit, None).ok(), Some(usual), "{limit:?}");
        }
    }
}
