//! Explains why a clone failed, in a sentence for the author of the pull request. Pure.
//!
//! Reads the records of our clonerefs and of Prow's: both hold git's own messages, and nothing that
//! a job has printed.

use common::prowjob::Refs;
use common::redact::strip_url_credentials;

use super::record::{CloneRecord, CommandRecord};

/// Files in conflict that are named; the others are counted.
const MAX_FILES: usize = 3;
/// Lines kept of git's output.
const MAX_LINES: usize = 20;
/// In characters: a status on GitHub has room for about ninety.
const MAX_REASON: usize = 160;

/// Why a clone failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneFailure {
    /// Such as `conflict in main.txt with main: rebase #7`.
    pub summary: String,
    /// The command that failed and the end of its output, without credentials.
    pub lines: Vec<String>,
}

/// Explains the first clone in the records that failed; `None` if none did.
#[must_use]
pub fn explain_clone_failure(records: &[CloneRecord]) -> Option<CloneFailure> {
    let record = records.iter().find(|record| record.failed)?;
    // A clone ends with the first command that fails.
    let failed = |command: &&CommandRecord| !command.error.is_empty();
    let none = CommandRecord::default();
    let command = record.commands.iter().rfind(failed).unwrap_or(&none);
    let output = strip_url_credentials(&command.output);
    let summary = explain_conflict(&record.refs, command, &output)
        .or_else(|| explain_missing(&record.refs, &output))
        .unwrap_or_else(|| {
            let error = strip_url_credentials(&command.error);
            let known = explain_output(&output).or(Some(error).filter(|error| !error.is_empty()));
            let why = known.unwrap_or_else(|| "the records do not say why".to_owned());
            format!(
                "could not clone{}: {}",
                describe_repo(&record.refs),
                shorten_reason(&why)
            )
        });
    Some(CloneFailure {
        summary,
        lines: command_lines(command, &output),
    })
}

/// Such as ` acme/calc at main`; empty if the record is not about a repository.
fn describe_repo(refs: &Refs) -> String {
    match (refs.repo.as_str(), refs.base_ref.as_str()) {
        ("", _) => String::new(),
        (_, "") => format!(" {}", refs.org_repo()),
        (_, base) => format!(" {} at {base}", refs.org_repo()),
    }
}

/// Explains a merge conflict: names the files, and what does not merge.
fn explain_conflict(refs: &Refs, command: &CommandRecord, output: &str) -> Option<String> {
    let mut files: Vec<&str> = output.lines().filter_map(file_in_conflict).collect();
    files.dedup();
    if files.is_empty() {
        return None;
    }
    let more = files.len().saturating_sub(MAX_FILES);
    let mut named = files[..files.len() - more].join(", ");
    if more > 0 {
        named = format!("{named} and {more} more");
    }
    let base = &refs.base_ref;
    let is_merged = |sha: &str| !sha.is_empty() && command.command.contains(sha);
    let merged = refs.pulls.iter().position(|pull| is_merged(&pull.sha));
    Some(match (refs.pulls.as_slice(), merged) {
        ([pull], _) => format!("conflict in {named} with {base}: rebase #{}", pull.number),
        (pulls, Some(at)) => {
            let before = pulls[..at].iter().map(|pull| format!("#{}", pull.number));
            let others: Vec<String> = std::iter::once(base.clone()).chain(before).collect();
            let (number, others) = (pulls[at].number, others.join(", "));
            format!("conflict in {named}: #{number} does not merge with {others}")
        }
        _ => format!("conflict in {named} with {base}"),
    })
}

/// The file of a line such as `CONFLICT (content): Merge conflict in main.txt`.
fn file_in_conflict(line: &str) -> Option<&str> {
    let told = line.strip_prefix("CONFLICT (")?;
    let (kind, told) = told.split_once("): ")?;
    if let Some((_, file)) = told.split_once("Merge conflict in ") {
        return Some(file);
    }
    let ends = match kind {
        "modify/delete" => " deleted in ",
        "file/directory" => " from ",
        _ => return told.split_whitespace().next(),
    };
    let told = told
        .strip_prefix("directory in the way of ")
        .unwrap_or(told);
    told.split(ends).next()
}

/// Explains a ref or a commit that does not exist.
fn explain_missing(refs: &Refs, output: &str) -> Option<String> {
    let after = |what: &str| {
        let (_, rest) = output.split_once(what)?;
        rest.split_whitespace().next()
    };
    let repo = refs.org_repo();
    if let Some(name) = after("couldn't find remote ref ") {
        return Some(format!("{repo} has no ref {name}"));
    }
    let commit = after("not our ref ")
        .or_else(|| after("reference is not a tree: "))
        .or_else(|| after("unadvertised object "));
    commit.map(|sha| {
        let sha: String = sha.chars().take(12).collect();
        format!("{repo} has no commit {sha}: was it replaced by a force-push?")
    })
}

/// What git's message means, if that is known; else git's last message.
fn explain_output(output: &str) -> Option<String> {
    const KNOWN: [(&str, &str); 7] = [
        (
            "Authentication failed",
            "the host does not accept the clone's credentials",
        ),
        (
            "could not read Username",
            "the host asks for credentials, and the clone has none",
        ),
        (
            "Permission denied (publickey",
            "the host does not accept the clone's SSH key",
        ),
        (
            "Host key verification failed",
            "the host's SSH key is not among ssh_host_fingerprints",
        ),
        (
            "Repository not found",
            "there is no such repository, or the clone may not read it",
        ),
        (
            "does not appear to be a git repository",
            "there is no such repository",
        ),
        (
            "No space left on device",
            "there is no space left on the node's disk",
        ),
    ];
    if let Some(host) = unknown_host(output) {
        return Some(format!("there is no host {host} (DNS)"));
    }
    if let Some(host) = silent_host(output) {
        return Some(format!("host {host} does not answer"));
    }
    if let Some((_, meaning)) = KNOWN.iter().find(|(words, _)| output.contains(words)) {
        return Some((*meaning).to_owned());
    }
    let said = |line: &&str| !line.trim().is_empty();
    let own = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("remote: ").unwrap_or(line);
        let word = line
            .strip_prefix("fatal: ")
            .or_else(|| line.strip_prefix("error: "));
        word.map(str::to_owned)
    };
    let last = output
        .lines()
        .rev()
        .find(said)
        .map(|line| line.trim().to_owned());
    output.lines().rev().find_map(own).or(last)
}

fn unknown_host(output: &str) -> Option<&str> {
    let words = ["Could not resolve host: ", "Could not resolve hostname "];
    first_after(output, &words, |c| c.is_whitespace() || c == ':')
}

/// `127.0.0.1:9` of curl's "Failed to connect to 127.0.0.1 port 9", or of ssh's message.
fn silent_host(output: &str) -> Option<String> {
    let words = ["Failed to connect to ", "ssh: connect to host "];
    let host = first_after(output, &words, char::is_whitespace)?;
    let port = first_after(output, &[&format!("{host} port ")], |c| !c.is_ascii_digit());
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// The text that follows one of these words, up to `end`.
fn first_after<'a>(text: &'a str, words: &[&str], end: fn(char) -> bool) -> Option<&'a str> {
    let rest = words
        .iter()
        .find_map(|word| Some(text.split_once(word)?.1))?;
    rest.split(end).next().filter(|found| !found.is_empty())
}

fn shorten_reason(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The command as one would type it, the end of its output, and its error.
fn command_lines(command: &CommandRecord, output: &str) -> Vec<String> {
    let typed = strip_url_credentials(&command.command);
    let typed = match typed.split_once(" git ") {
        Some((_, arguments)) => format!("$ git {arguments}"),
        None => format!("$ {typed}"),
    };
    let told: Vec<&str> = output.lines().collect();
    let end = told[told.len().saturating_sub(MAX_LINES)..].iter();
    let mut all = vec![typed];
    all.extend(end.map(|line| (*line).to_owned()));
    if !command.error.is_empty() {
        all.push(format!("# {}", strip_url_credentials(&command.error)));
    }
    all
}

#[cfg(test)]
mod tests {
    use common::prowjob::Pull;

    use super::*;

    fn record(pulls: &[u64], command: &str, output: &str, error: &str) -> CloneRecord {
        let pull = |number: &u64| Pull {
            number: *number,
            sha: format!("sha{number}"),
            ..Pull::default()
        };
        let done = CommandRecord {
            command: "PWD=/ mkdir -p /go".into(),
            ..CommandRecord::default()
        };
        let command = CommandRecord {
            command: command.into(),
            output: output.into(),
            error: error.into(),
            ..CommandRecord::default()
        };
        CloneRecord {
            refs: Refs {
                org: "acme".into(),
                repo: "calc".into(),
                base_ref: "main".into(),
                pulls: pulls.iter().map(pull).collect(),
                ..Refs::default()
            },
            commands: vec![done, command],
            failed: true,
            ..CloneRecord::default()
        }
    }

    fn told(pulls: &[u64], command: &str, output: &str) -> String {
        let records = [
            CloneRecord::default(),
            record(pulls, command, output, "exit status: 128"),
        ];
        explain_clone_failure(&records).unwrap().summary
    }

    #[test]
    fn a_conflict_names_its_files_and_what_to_do() {
        let output = "Auto-merging add.txt\nCONFLICT (add/add): Merge conflict in add.txt\n\
            CONFLICT (modify/delete): gone.txt deleted in HEAD and modified in feat.  Version feat of gone.txt left in tree.\n\
            CONFLICT (content): Merge conflict in with space.txt\n\
            CONFLICT (file/directory): directory in the way of d from HEAD; moving it to d~HEAD instead.\n\
            Automatic merge failed; fix conflicts and then commit the result.";
        let one = "CONFLICT (content): Merge conflict in main.txt\n";
        for (pulls, command, output, expected) in [
            (
                &[7][..],
                "git merge --no-ff sha7",
                one,
                "conflict in main.txt with main: rebase #7",
            ),
            (
                &[7],
                "git merge --no-ff FETCH_HEAD",
                output,
                "conflict in add.txt, gone.txt, with space.txt and 1 more with main: rebase #7",
            ),
            (
                &[7, 8],
                "git merge --no-ff sha8",
                one,
                "conflict in main.txt: #8 does not merge with main, #7",
            ),
            (
                &[7, 8],
                "git merge --no-ff FETCH_HEAD",
                one,
                "conflict in main.txt with main",
            ),
        ] {
            assert_eq!(told(pulls, command, output), expected);
        }
    }

    #[test]
    fn git_in_plain_words() {
        for (output, expected) in [
            (
                "fatal: couldn't find remote ref nope\n",
                "acme/calc has no ref nope",
            ),
            (
                "fatal: remote error: upload-pack: not our ref 1111111111111111\n",
                "acme/calc has no commit 111111111111: was it replaced by a force-push?",
            ),
            (
                "fatal: unable to access 'http://127.0.0.1:9/o/r.git/': Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server\n",
                "could not clone acme/calc at main: host 127.0.0.1:9 does not answer",
            ),
            (
                "fatal: unable to access 'https://nosuch.invalid/o/r/': Could not resolve host: nosuch.invalid\n",
                "could not clone acme/calc at main: there is no host nosuch.invalid (DNS)",
            ),
            (
                "ssh: connect to host git.x port 22: Connection refused\r\nfatal: Could not read from remote repository.\n",
                "could not clone acme/calc at main: host git.x:22 does not answer",
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://u:p@h/o/r/' not found\n",
                "could not clone acme/calc at main: there is no such repository, or the clone may not read it",
            ),
            (
                "fatal: bad thing at https://user:hunter22@h/o/r\n\n",
                "could not clone acme/calc at main: bad thing at https://h/o/r",
            ),
            (
                "fatal: repository 'https://u:p@h/acme/calc/' not found\n",
                "could not clone acme/calc at main: repository 'https://h/acme/calc/' not found",
            ),
            (
                "remote: Counting objects\nfatal: cloning takes too long and was stopped\n",
                "could not clone acme/calc at main: cloning takes too long and was stopped",
            ),
            ("", "could not clone acme/calc at main: exit status: 128"),
        ] {
            assert_eq!(told(&[7], "git fetch", output), expected);
        }
        let setup = CloneRecord {
            refs: Refs::default(),
            ..record(
                &[],
                "set up credentials",
                "",
                "reading the OAuth token /t: gone",
            )
        };
        assert_eq!(
            explain_clone_failure(&[setup]).unwrap().summary,
            "could not clone: reading the OAuth token /t: gone"
        );
        assert_eq!(
            explain_clone_failure(&[CloneRecord::default()]),
            None,
            "nothing failed"
        );
    }

    #[test]
    fn what_is_quoted_has_no_credentials() {
        let failed = record(
            &[7],
            "PWD=/go/src git fetch https://user:hunter22@h/o/r main",
            "fatal: https://token@h/o/r says https://a@b:p@h no\n",
            "exit status: 128",
        );
        assert_eq!(
            explain_clone_failure(&[failed]).unwrap().lines,
            [
                "$ git fetch https://h/o/r main",
                "fatal: https://h/o/r says https://h no",
                "# exit status: 128",
            ]
        );
    }
}
