//! Passwords: Argon2id, a few at a time, and the same work for a person who does not exist.

use std::time::Duration;

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::PasswordVerifier as _;
use argon2::{Algorithm, Argon2, Params, Version};
use domain::{Random, Secret};
use serde::{Deserialize, Deserializer};
use tokio::sync::{OnceCell, Semaphore};

use crate::error::{Code, Problem};

/// 19 MiB, two passes, one lane: the second recommendation of the OWASP password storage cheat sheet (2026).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many hashes are made at once; more would let a flood of log-ins take all memory.
const AT_ONCE: usize = 2;
/// How long a log-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// A password as a client sends it.
pub struct Password(Secret);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from_text(text)))
    }
}

impl Password {
    /// A password that the program chose.
    pub fn new(text: Secret) -> Self {
        Self(text)
    }

    /// Refuses a new password that is too short or too long; there are no other rules.
    ///
    /// # Errors
    /// `invalid_request` for `field`.
    pub fn check_new(&self, field: &'static str) -> Result<(), Problem> {
        let chars = self
            .0
            .expose(|bytes| String::from_utf8_lossy(bytes).chars().count());
        if (10..=128).contains(&chars) {
            Ok(())
        } else {
            Err(Problem::field(field, "a password has 10 to 128 characters"))
        }
    }
}

/// Makes and checks password hashes.
pub struct Passwords {
    turns: Semaphore,
    random: Random,
    dummy: OnceCell<String>,
}

impl Passwords {
    /// Draws salts from `random`.
    pub fn new(random: Random) -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            random,
            dummy: OnceCell::new(),
        }
    }

    /// The hash of a password, in PHC string form.
    ///
    /// # Errors
    /// `unavailable` when the random source failed or too many are waiting.
    pub async fn hash(&self, password: Password) -> Result<String, Problem> {
        let salt = self.random.bytes::<16>()?;
        self.work(move || {
            password.0.expose(|bytes| {
                let hash = argon2().hash_password_with_salt(bytes, &salt);
                hash.map(|hash| hash.to_string())
            })
        })
        .await?
        .map_err(|error| Problem::internal(&error))
    }

    /// Whether `password` belongs to `hash`. Without a hash it does the same work and says no.
    ///
    /// # Errors
    /// `unavailable` when too many are waiting.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, Problem> {
        let exists = hash.is_some();
        // Made in either case, so that the first log-in of nobody is no slower than others.
        let dummy = self
            .dummy
            .get_or_try_init(|| {
                self.hash(Password(Secret::from_text("nobody's password".to_owned())))
            })
            .await?;
        let hash = hash.unwrap_or_else(|| dummy.clone());
        let fits = self
            .work(move || {
                let longest = 4 * 128;
                password.0.len() <= longest
                    && password
                        .0
                        .expose(|bytes| argon2().verify_password(bytes, hash.as_str()).is_ok())
            })
            .await?;
        Ok(fits && exists)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || Problem::new(Code::Unavailable).because("too many log-ins at once");
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Problem::internal(&error))
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the costs are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password(Secret::from_text(text.to_owned()))
    }

    fn passwords() -> Passwords {
        Passwords::new(Random::new(|bytes| {
            bytes.fill(7);
            Ok(())
        }))
    }

    #[tokio::test]
    async fn only_the_password_itself_fits_and_nobody_never_does() {
        let passwords = passwords();
        let hash = passwords
            .hash(password("correct horse"))
            .await
            .expect("hashes");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let check = async |text: &str, hash: Option<String>| {
            passwords
                .verify(password(text), hash)
                .await
                .expect("checks")
        };
        assert!(check("correct horse", Some(hash.clone())).await);
        assert!(!check("correct horsf", Some(hash)).await);
        assert!(!check("nobody's password", None).await);
    }

    #[test]
    fn new_passwords_have_ten_to_128_characters() {
        for (chars, fits) in [(9, false), (10, true), (128, true), (129, false)] {
            let result = password(&"ü".repeat(chars)).check_new("password");
            assert_eq!(result.is_ok(), fits, "{chars}");
        }
    }
}
