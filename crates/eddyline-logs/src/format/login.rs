//! Recognising logins that failed or succeeded.

/// How a login went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It was refused.
    Failed,
    /// It was let in.
    Succeeded,
}

impl Login {
    /// What an access says about a login: a 401, or a request that is sent to one of `login_paths`.
    #[inline]
    pub(super) fn of_access(
        method: &[u8],
        path: &[u8],
        status: u16,
        login_paths: &[String],
    ) -> Option<Login> {
        if status == 401 {
            return Some(Login::Failed);
        }
        if method != b"POST"
            || !login_paths.iter().any(|login| memchr::memmem::find(path, login.as_bytes()).is_some())
        {
            return None;
        }
        match status {
            200..=399 => Some(Login::Succeeded),
            400 | 403 | 422 | 429 => Some(Login::Failed),
            _ => None,
        }
    }

    /// What a message of a login program (`sshd`, PAM, `su`, `vsftpd`) says, and about which host.
    pub(super) fn of_message(message: &[u8]) -> Option<(Login, &[u8])> {
        const FAILED: [&[u8]; 4] = [
            b"Failed password for",
            b"Failed keyboard-interactive",
            b"Invalid user ",
            b"authentication failure;",
        ];
        const SUCCEEDED: [&[u8]; 3] =
            [b"Accepted password for", b"Accepted publickey for", b"Accepted keyboard-interactive"];
        let begins =
            |starts: &[&[u8]]| starts.iter().any(|start| memchr::memmem::find(message, start).is_some());
        let login = if begins(&FAILED) {
            Login::Failed
        } else if begins(&SUCCEEDED) {
            Login::Succeeded
        } else {
            return None;
        };
        let host = word_after(message, b" from ").or_else(|| word_after(message, b"rhost="));
        host.filter(|host| !host.is_empty()).map(|host| (login, host))
    }
}

/// The word that follows the last `before`: what a user is called cannot pass for it.
fn word_after<'a>(message: &'a [u8], before: &[u8]) -> Option<&'a [u8]> {
    let start = memchr::memmem::rfind(message, before)? + before.len();
    let rest = &message[start..];
    let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
    Some(&rest[..end])
}
