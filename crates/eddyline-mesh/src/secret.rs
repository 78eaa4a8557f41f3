//! The shared secret of a job.
//!
//! A secret comes from an environment variable, from a file or from the operating system's random numbers; never from
//! an argument, since arguments are visible to every user of a machine. `Debug` prints nothing of it, and there is no
//! `Display`. It must be hard to guess (at least [`SECRET_LENGTH_MIN`] bytes, better [`Secret::random`]): who records a
//! handshake of an unencrypted connection can try guesses against it at leisure.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use eddyline_core::{Error, Result};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// The shortest secret that is accepted, in bytes.
pub const SECRET_LENGTH_MIN: usize = 16;

/// The longest secret that is accepted, in bytes.
pub const SECRET_LENGTH_MAX: usize = 4096;

/// A secret that all processes of a job and its supervisor share.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The secret in the environment variable `variable`.
    ///
    /// # Errors
    /// `Config` if the variable is not set, is not text, or is too short or too long.
    pub fn from_env(variable: &str) -> Result<Self> {
        let hint =
            format!("set {variable} to at least {SECRET_LENGTH_MIN} random characters, the same everywhere");
        match std::env::var(variable) {
            Ok(text) => Self::checked(text, &format!("environment variable {variable}")),
            Err(std::env::VarError::NotPresent) => Err(Error::config("the shared secret is not set")
                .with_detail(format!("environment variable {variable}"))
                .with_hint(hint)),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::config("the shared secret is not valid UTF-8")
                    .with_detail(format!("environment variable {variable}"))
                    .with_hint(hint))
            }
        }
    }

    /// The secret in the file at `path`; white space around it is ignored.
    ///
    /// # Errors
    /// `Config` if the file cannot be read, is not text, or its content is too short or too long.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let place = format!("file {}", path.as_ref().display());
        let mut bytes = Vec::new();
        File::open(path.as_ref())
            // One byte more than allowed is enough to know that it is too long.
            .and_then(|file| file.take(SECRET_LENGTH_MAX as u64 + 64).read_to_end(&mut bytes))
            .map_err(|error| {
                Error::config("cannot read the shared secret")
                    .with_detail(format!("{place}: {error}"))
                    .with_hint("check that the file exists and that this user may read it")
            })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::config("the shared secret is not valid UTF-8").with_detail(place.clone()))?;
        Self::checked(text.trim().to_owned(), &place)
    }

    /// A fresh secret of 256 random bits.
    ///
    /// # Errors
    /// `Internal` if the operating system gives no random numbers.
    pub fn random() -> Result<Self> {
        let bytes = random_bytes()?;
        Ok(Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Hands the secret to a child process, in its environment variable `variable`.
    pub fn pass_to(&self, command: &mut Command, variable: &str) {
        command.env(variable, &self.0);
    }

    /// The key of the proofs; the only use of the bytes.
    pub(crate) fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes())
    }

    fn checked(text: String, place: &str) -> Result<Self> {
        let problem = if text.len() < SECRET_LENGTH_MIN {
            format!("the shared secret is shorter than {SECRET_LENGTH_MIN} bytes")
        } else if text.len() > SECRET_LENGTH_MAX {
            format!("the shared secret is longer than {SECRET_LENGTH_MAX} bytes")
        } else if text.contains('\0') {
            "the shared secret contains a zero byte".to_owned()
        } else {
            return Ok(Secret(text));
        };
        Err(Error::config(problem).with_detail(place).with_hint("use 32 to 64 random letters and digits"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// 32 random bytes of the operating system.
pub(crate) fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the operating system gives no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let secret = Secret::checked("correct horse battery staple".into(), "test").unwrap();
        let text = format!("{secret:?} {:#?}", Some(&secret));
        assert!(!text.contains("horse"), "{text}");
    }

    #[test]
    fn a_secret_file_is_trimmed_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "  0123456789abcdef\n").unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().0, "0123456789abcdef");
        for (content, word) in
            [(vec![b'x'; 15], "shorter"), (vec![b'x'; 5000], "longer"), (vec![0xff; 20], "UTF-8")]
        {
            std::fs::write(&path, content).unwrap();
            let error = Secret::from_file(&path).unwrap_err();
            assert!(error.message().contains(word), "{error}");
            assert!(!error.report().contains("xxx"), "the error shows the content: {}", error.report());
        }
        let error = Secret::from_file(folder.path().join("absent")).unwrap_err();
        assert!(error.report().contains("absent"), "{}", error.report());
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = Secret::from_env("EDDYLINE_TEST_UNSET_SECRET").unwrap_err();
        assert!(error.report().contains("EDDYLINE_TEST_UNSET_SECRET"), "{}", error.report());
    }

    #[test]
    fn a_random_secret_reaches_a_child_by_its_environment() {
        let secret = Secret::random().unwrap();
        assert_eq!(secret.0.len(), 64);
        assert_ne!(secret.0, Secret::random().unwrap().0);
        let mut command = Command::new("sh");
        command.args(["-c", "printf %s \"$EDDYLINE_SECRET\""]);
        secret.pass_to(&mut command, "EDDYLINE_SECRET");
        assert_eq!(command.output().unwrap().stdout, secret.0.as_bytes());
    }
}
