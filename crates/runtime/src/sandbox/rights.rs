//! What root may do beyond others: a program in a sandbox may not, whoever starts it.
//!
//! Landlock does not stop `CAP_PERFMON` from reading other processes' environments (seen on Linux 6.18), so that a sandbox
//! of root's would have a hole without this.

use std::io;

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities,
    set_capabilities_secure_bits, set_no_new_privs,
};

/// Gives up every capability, for this process and all that it starts.
pub(super) fn give_up() -> io::Result<()> {
    set_no_new_privs(true)?;
    // Otherwise the next program gets them back because its user is root. Who is not, and may not do this, gets none.
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    match set_capabilities_secure_bits(bits) {
        Err(error) if rustix::process::geteuid().is_root() => return Err(error.into()),
        _ => {}
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    Ok(set_capabilities(None, sets)?)
}
