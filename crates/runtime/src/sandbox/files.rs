//! Which files a program may open, and which must not be among them.

use std::path::{Path, PathBuf};

use super::{Sandbox, lies_in};

/// What programs of the system are made of. Nothing here is a workspace's, and no configuration of a server: of `/etc`
/// only what resolvers, TLS and the C library read.
pub(super) const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/profile",
    "/etc/protocols",
    "/etc/python3",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    // Of other processes only what their owner lets everybody see: the kernel guards the rest.
    "/proc",
    // How much memory and how many processors there are.
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
];

pub(super) const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// A file of a server's that a sandbox would open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox would open {}, and with it {}", opened.display(), file.display())]
pub struct Exposed {
    /// What the sandbox opens.
    pub opened: PathBuf,
    /// What must stay closed.
    pub file: PathBuf,
}

/// Makes sure that none of `secret` is open to a program in the sandbox. What does not exist cannot be opened.
///
/// # Errors
/// [`Exposed`]: the first that is.
pub fn check(sandbox: &Sandbox, secret: &[PathBuf]) -> Result<(), Exposed> {
    let system = SYSTEM.iter().map(PathBuf::from);
    let named = sandbox.read.iter().chain(&sandbox.write).cloned();
    for opened in system.chain(named) {
        let Ok(open) = opened.canonicalize() else {
            continue;
        };
        for file in secret {
            if file.canonicalize().is_ok_and(|file| exposed(&file, &open)) {
                let file = file.clone();
                return Err(Exposed { opened, file });
            }
        }
    }
    Ok(())
}

/// A directory that holds the secret exposes it, and so does a part of a directory that is one.
fn exposed(file: &Path, open: &Path) -> bool {
    lies_in(file, open) || lies_in(open, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(path: &Path) -> Sandbox {
        Sandbox {
            read: vec![path.to_owned()],
            ..Sandbox::default()
        }
    }

    #[test]
    fn a_servers_files_are_never_opened() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let secret = [here.join("src")];
        for open in [here.to_owned(), here.join("src"), here.join("src/sandbox")] {
            assert!(check(&opening(&open), &secret).is_err(), "{open:?}");
        }
        let aside = here.join("../domain");
        assert_eq!(check(&opening(&aside), &secret), Ok(()));
        // Not under the name that it is opened by, but the same.
        let around = here.join("../runtime/src");
        assert!(check(&opening(&around), &secret).is_err());
        let missing = [here.join("nothing")];
        assert_eq!(check(&opening(here), &missing), Ok(()));
        assert!(check(&Sandbox::default(), &["/usr/bin".into()]).is_err());
    }
}
