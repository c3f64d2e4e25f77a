//! Which names are names of secrets.

/// Words that mark a secret anywhere in a name, also in the plural.
const SECRET_WORDS: [&str; 15] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "PAT",
    "KEY",
    "CREDENTIAL",
    "CRED",
    "AUTH",
    "AUTHORIZATION",
    "COOKIE",
    "APIKEY",
];
/// Words that mark a secret at the end of a word: `PGPASSWORD`.
const SECRET_ENDINGS: [&str; 7] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "ACCESSKEY",
    "APIKEY",
];
/// After a word of a secret, these say that the value is not the secret itself: `TOKEN_FILE`.
const LOCATION_WORDS: [&str; 6] = ["FILE", "FILES", "PATH", "DIR", "FILENAME", "STDIN"];

/// Whether a variable, flag or header of this name holds a secret: `GH_PAT` and `dbPass` do,
/// `COMPASS`, `AUTHOR` and `TOKEN_PATH` do not.
pub(super) fn is_secret(name: &str) -> bool {
    let words = split_words(name);
    let last = words.iter().rposition(|word| is_secret_word(word));
    last.is_some_and(|at| {
        !words[at + 1..]
            .iter()
            .any(|word| LOCATION_WORDS.contains(&word.as_str()))
    })
}

fn is_secret_word(word: &str) -> bool {
    let forms = [word, word.strip_suffix('S').unwrap_or(word)];
    forms.iter().any(|word| {
        SECRET_WORDS.contains(word) || SECRET_ENDINGS.iter().any(|end| word.ends_with(end))
    })
}

/// The words of `snake_case`, `kebab-case`, `dotted.names` and `camelCase`, in upper case and
/// without digits.
fn split_words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let characters: Vec<char> = name.chars().collect();
    for (at, &character) in characters.iter().enumerate() {
        if !character.is_ascii_alphabetic() {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let after = characters.get(at + 1);
        // `dbPass` and `DBPass` are two words each.
        let begins = character.is_ascii_uppercase()
            && (before.is_some_and(char::is_ascii_lowercase)
                || before.is_some_and(char::is_ascii_uppercase)
                    && after.is_some_and(char::is_ascii_lowercase));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character.to_ascii_uppercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "TOKEN",
            "GITHUB_TOKEN",
            "GH_PAT",
            "DB_PASS",
            "DB_PWD",
            "PGPASSWORD",
            "MYSQL_PASSWD",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "NPM_AUTH",
            "SESSION_COOKIE",
            "CREDENTIALS",
            "OAUTH_TOKENS",
            "API_KEY2",
            "TOKEN1",
            "dbPass",
            "apiKey",
            "githubToken",
            "x-api-key",
            "--registry.password",
            "Authorization",
            "PATH_TOKEN",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "",
            "PATH",
            "COMPASS",
            "KEYBOARD",
            "AUTHOR",
            "AUTHORS",
            "PATTERN",
            "MONKEY",
            "BYPASS",
            "TOKENIZERS_PARALLELISM",
            "TOKEN_PATH",
            "TOKEN_FILE",
            "github-token-path",
            "keyFile",
            "COOKIECUTTER",
            "HOME",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
