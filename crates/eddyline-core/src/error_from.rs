//! Errors of the standard library, as functions of users meet them: `?` turns them into errors of kind
//! [`ErrorKind::User`].
//!
//! Engine code says of which kind its errors are; it maps them itself.

use crate::error::{Error, ErrorKind};

macro_rules! from_errors {
    ($($type:ty),* $(,)?) => {
        $(impl From<$type> for Error {
            /// An error of kind [`ErrorKind::User`] with the same message.
            fn from(error: $type) -> Self {
                Error::new(ErrorKind::User, error.to_string())
            }
        })*
    };
}

from_errors! {
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::char::ParseCharError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::fmt::Error,
    std::io::Error,
    std::convert::Infallible,
    Box<dyn std::error::Error + Send + Sync>,
    String,
    &str,
}

#[cfg(test)]
mod tests {
    use crate::{ErrorKind, Result};

    #[test]
    fn a_question_mark_makes_a_users_error() {
        fn sum(one: &str, other: &str) -> Result<i64> {
            let other: i64 = other.parse()?;
            Ok(one.parse::<i64>()? + other)
        }
        assert_eq!(sum("1", "2").unwrap(), 3);
        let error = sum("1", "two").unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::User, "invalid digit found in string"));
    }
}
