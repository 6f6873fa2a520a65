//! A value that must not leave by accident.

use zeroize::Zeroize;

/// Secret bytes, wiped when dropped.
///
/// Deliberately without `Debug`, `Display`, `Serialize`, `Clone` and `PartialEq`: the only way to the
/// bytes is [`expose`](Self::expose), which is easy to search for in review.
///
/// T69: none of these compiles.
///
/// ```compile_fail,E0277
/// let _ = format!("{:?}", domain::Secret::from_text("sk-x".to_owned()));
/// ```
///
/// ```compile_fail,E0599
/// let _ = domain::Secret::from_text("sk-x".to_owned()).to_string();
/// ```
///
/// ```compile_fail,E0599
/// let _ = domain::Secret::from_text("sk-x".to_owned()).clone();
/// ```
///
/// ```compile_fail,E0277
/// fn written(_: impl serde::Serialize) {}
/// written(domain::Secret::from_text("sk-x".to_owned()));
/// ```
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes over. The spare capacity of the vector is wiped with the rest.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        let secret = Self(bytes.as_slice().into());
        bytes.zeroize();
        secret
    }

    /// Takes a text over; see [`Secret::new`].
    pub fn from_text(text: String) -> Self {
        Self::new(text.into_bytes())
    }

    /// Lends the bytes to `read` for the length of the call.
    pub fn expose<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        read(&self.0)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
