//! Finds out why git failed from its messages: it has one exit status for everything, but fixed
//! messages (`LC_ALL=C`).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GitFailureCause {
    /// The remote does not have the commit.
    Gone,
    /// The remote refuses access to the repository.
    Refused,
    /// The remote cannot be reached, or has a failure of its own.
    Away,
    /// A lock is in the mirror. A killed git left it: one fetch that writes refs runs at
    /// a time.
    Locked,
    /// The content of the mirror is not what git wrote.
    Damaged,
    /// None of these.
    Unknown,
}

const GONE: &[&str] = &[
    "not our ref",
    "couldn't find remote ref",
    "unadvertised object",
];

const REFUSED: &[&str] = &[
    "Authentication failed",
    "could not read Username",
    "returned error: 401",
    "returned error: 403",
    "returned error: 404",
    "' not found",
];

const AWAY: &[&str] = &[
    "unable to access",
    "returned error: ",
    "RPC failed",
    "early EOF",
    "the remote end hung up",
    "unexpected disconnect",
    "from promisor remote",
];

/// The machine is short of something: the mirror itself is intact.
const OUT_OF_RESOURCES: &[&str] = &[
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Input/output error",
    "Permission denied",
    "Too many open files",
    "Cannot allocate memory",
    "out of memory",
    "Out of memory",
    "Cannot fork",
    "unable to create thread",
    "died of signal",
];

/// Positive signs that objects, refs or settings of the mirror are broken.
const DAMAGED: &[&str] = &[
    "not a git repository",
    "is corrupt",
    "corrupt or missing",
    "corrupt loose object",
    "garbage at end of loose object",
    "hash mismatch",
    "object file ",
    "inflate: data stream error",
    "unable to unpack ",
    "unable to parse ",
    "bad object ",
    "invalid object ",
    "unable to read tree",
    "unable to read sha1 file",
    "missing tree object",
    "missing object ",
    "Could not read ",
    "Failed to traverse parents",
    "revision walk setup failed",
    "did not send all necessary objects",
    "packfile ",
    "index file ",
    "unresolved deltas",
    "does not point to a valid object",
    "broken ref",
    "unable to resolve reference",
    "unexpected line in ",
    "unterminated line in ",
    "bad config line",
];

/// The first cause that matches. What the remote says of itself does not count for the mirror.
pub(super) fn classify_failure(stderr: &str) -> GitFailureCause {
    let says = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    let own = |line: &&str| !line.starts_with("remote: ") && !line.contains("remote error: ");
    let says_itself = |texts: &[&str]| {
        let mut lines = stderr.lines().filter(own);
        lines.any(|line| texts.iter().any(|text| line.contains(text)))
    };
    if says(GONE) {
        GitFailureCause::Gone
    } else if says(REFUSED) {
        GitFailureCause::Refused
    } else if says_itself(OUT_OF_RESOURCES) {
        GitFailureCause::Unknown
    } else if says(AWAY) {
        GitFailureCause::Away
    } else if says_itself(&[".lock': File exists"]) {
        GitFailureCause::Locked
    } else if says_itself(DAMAGED) {
        GitFailureCause::Damaged
    } else {
        GitFailureCause::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (stderr, expected) in [
            (
                "fatal: remote error: upload-pack: not our ref 0123",
                GitFailureCause::Gone,
            ),
            (
                "fatal: Authentication failed for 'https://x/y.git/'",
                GitFailureCause::Refused,
            ),
            (
                "fatal: repository 'https://x/y.git/' not found",
                GitFailureCause::Refused,
            ),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 403",
                GitFailureCause::Refused,
            ),
            (
                "fatal: unable to access 'https://x/': The requested URL returned error: 502",
                GitFailureCause::Away,
            ),
            (
                "fatal: unable to access 'https://x/': Could not resolve host: x",
                GitFailureCause::Away,
            ),
            (
                "fatal: could not fetch 0123 from promisor remote",
                GitFailureCause::Away,
            ),
            (
                "error: object file objects/01/23 is empty",
                GitFailureCause::Damaged,
            ),
            (
                "fatal: not a git repository: '/m/x.git'",
                GitFailureCause::Damaged,
            ),
            (
                "error: packfile objects/pack/pack-1.pack does not match index",
                GitFailureCause::Damaged,
            ),
            ("fatal: bad object 0123", GitFailureCause::Damaged),
            (
                "fatal: bad config line 3 in file /m/x.git/config",
                GitFailureCause::Damaged,
            ),
            (
                "fatal: Unable to create '/m/x.git/shallow.lock': File exists.",
                GitFailureCause::Locked,
            ),
            (
                "error: cannot lock ref 'refs/prow/base': Unable to create \
                 '/m/x.git/refs/prow/base.lock': File exists.",
                GitFailureCause::Locked,
            ),
        ] {
            assert_eq!(classify_failure(stderr), expected, "{stderr}");
        }
    }

    #[test]
    fn what_is_not_known_to_be_damage_is_none() {
        for stderr in [
            "",
            "fatal: something new",
            "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
            "fatal: unable to create temporary object file: No space left on device",
            "error: object file x is empty\nfatal: write error: No space left on device",
            "fatal: Out of memory, malloc failed (tried to allocate 8 bytes)",
            "error: index-pack died of signal 9\nfatal: fetch-pack: invalid index-pack output",
            "fatal: cannot create thread: Resource temporarily unavailable",
            "fatal: remote error: internal server error",
            "remote: fatal: bad object 0123",
            "remote: error: packfile x is corrupt\nfatal: protocol error: bad pack header",
            "fatal: unable to create '/m/x.git': Permission denied",
        ] {
            assert_eq!(
                classify_failure(stderr),
                GitFailureCause::Unknown,
                "{stderr}"
            );
        }
    }
}
