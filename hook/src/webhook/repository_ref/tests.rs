use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use super::*;

fn payload(org: &str, repo: &str) -> RepositoryClaim {
    RepositoryClaim::Payload(identity(org, repo))
}

fn identity(org: &str, repo: &str) -> RepositoryRef {
    RepositoryRef {
        org: org.into(),
        repo: repo.into(),
    }
}

#[test]
fn names_that_agree_make_one_identity() {
    for (name, body, expected) in [
        (
            "a repository's event",
            json!({"repository": {"full_name": "o/r", "name": "r", "owner": {"login": "o"}}}),
            payload("o", "r"),
        ),
        (
            "a push names the owner twice",
            json!({"repository": {"full_name": "o/r", "owner": {"login": "o", "name": "o"}}}),
            payload("o", "r"),
        ),
        (
            "owner and name are enough",
            json!({"repository": {"name": "r", "owner": {"login": "o"}}}),
            payload("o", "r"),
        ),
        (
            "an organisation's event",
            json!({"organization": {"login": "o"}, "repository": null}),
            payload("o", ""),
        ),
        (
            "an App's event",
            json!({"action": "created"}),
            payload("", ""),
        ),
        (
            "case does not matter to GitHub",
            json!({"repository": {"full_name": "O/r", "owner": {"login": "o"}}}),
            payload("O", "r"),
        ),
        (
            "a user's repository belongs to no organisation, whichever is named",
            json!({"repository": {"full_name": "o/r", "owner": {"login": "o", "type": "User"}}, "organization": {"login": "x"}}),
            payload("o", "r"),
        ),
        (
            "full name against owner",
            json!({"repository": {"full_name": "o/r", "owner": {"login": "x"}}}),
            RepositoryClaim::Contradiction,
        ),
        (
            "full name against the owner's name",
            json!({"repository": {"full_name": "o/r", "owner": {"login": "o", "name": "x"}}}),
            RepositoryClaim::Contradiction,
        ),
        (
            "full name against name",
            json!({"repository": {"full_name": "o/r", "name": "x", "owner": {"login": "o"}}}),
            RepositoryClaim::Contradiction,
        ),
        (
            "organisation against owner",
            json!({"repository": {"full_name": "o/r", "owner": {"login": "o"}}, "organization": {"login": "x"}}),
            RepositoryClaim::Contradiction,
        ),
        (
            "no full name at all",
            json!({"repository": {"full_name": "o", "owner": {"login": "o"}}}),
            RepositoryClaim::Contradiction,
        ),
        (
            "three parts",
            json!({"repository": {"full_name": "o/r/x"}}),
            RepositoryClaim::Contradiction,
        ),
        (
            "half a name",
            json!({"repository": {"name": "r"}}),
            payload("", ""),
        ),
    ] {
        assert_eq!(
            read_repository_claim(body.to_string().as_bytes()),
            expected,
            "{name}"
        );
    }
}

#[test]
fn bytes_that_are_no_object_are_told_apart() {
    for (name, body, expected) in [
        ("nothing", "", identity("", "")),
        ("a list", "[1]", identity("", "")),
        ("a text", "\"o/r\"", identity("", "")),
        (
            "cut off",
            r#"{"repository":{"full_name":"o/r"},"#,
            identity("o", "r"),
        ),
        ("more behind it", "{} {}", identity("", "")),
        (
            "ten thousand brackets",
            &"[".repeat(10_000),
            identity("", ""),
        ),
        (
            "ten thousand brackets, skipped",
            &format!(r#"{{"a":{}"#, "[".repeat(10_000)),
            identity("", ""),
        ),
    ] {
        assert_eq!(
            read_repository_claim(body.as_bytes()),
            RepositoryClaim::Broken(expected),
            "{name}"
        );
    }
    assert_eq!(
        read_repository_claim(b"{\"a\":\"\xff\"}"),
        RepositoryClaim::Broken(identity("", "")),
        "not UTF-8"
    );
}

#[test]
fn deep_nesting_is_skipped_without_a_limit() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(read_repository_claim(deep.as_bytes()), payload("", ""));
}

#[test]
fn a_key_that_stands_twice_is_a_contradiction() {
    for body in [
        r#"{"repository":{"full_name":"o/r"},"repository":{"full_name":"o/r"}}"#,
        r#"{"repository":{"full_name":"o/r","full_name":"x/y"}}"#,
        r#"{"repository":{"owner":{"login":"o","l\u006fgin":"x"}}}"#,
    ] {
        assert_eq!(
            read_repository_claim(body.as_bytes()),
            RepositoryClaim::Contradiction,
            "{body}"
        );
    }
}

/// The same names, read from a fully parsed document.
fn by_full_parse(body: &str) -> RepositoryClaim {
    let value: Value = serde_json::from_str(body).unwrap();
    let text = |path| {
        value
            .pointer(path)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let names = RepositoryNames {
        full_name: text("/repository/full_name"),
        name: text("/repository/name"),
        owner_login: text("/repository/owner/login"),
        owner_name: text("/repository/owner/name"),
        owner_type: text("/repository/owner/type"),
        organization: text("/organization/login"),
        twice: false,
    };
    names
        .into_repository()
        .map_or(RepositoryClaim::Contradiction, RepositoryClaim::Payload)
}

/// A random document made mostly of the keys and names that matter.
fn random(rng: &mut StdRng, depth: u32) -> Value {
    const KEYS: [&str; 9] = [
        "repository",
        "organization",
        "owner",
        "login",
        "name",
        "type",
        "full_name",
        "x",
        "",
    ];
    const TEXTS: [&str; 7] = ["o", "O", "r", "o/r", "p/r", "User", "\u{1f980}\"\\"];
    match rng.random_range(0..if depth == 0 { 5 } else { 11 }) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!(rng.random::<i64>()),
        3 => json!(rng.random::<f64>()),
        4 => json!(TEXTS.choose(rng)),
        5 => (0..rng.random_range(0..3))
            .map(|_| random(rng, depth - 1))
            .collect(),
        _ => Value::Object(
            (0..rng.random_range(0..5))
                .map(|_| {
                    let key = (*KEYS.choose(rng).unwrap()).to_owned();
                    let value = if key.ends_with("name") || key == "login" {
                        json!(TEXTS.choose(rng))
                    } else {
                        random(rng, depth - 1)
                    };
                    (key, value)
                })
                .collect::<Map<_, _>>(),
        ),
    }
}

#[test]
fn random_documents_read_as_by_a_full_parse() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut identities = 0;
    for round in 0..20_000 {
        let mut document = Map::new();
        document.insert("repository".into(), random(&mut rng, 4));
        document.insert("organization".into(), random(&mut rng, 3));
        document.insert("x".into(), random(&mut rng, 4));
        let body = Value::Object(document).to_string();
        let claim = read_repository_claim(body.as_bytes());
        assert_eq!(claim, by_full_parse(&body), "round {round}: {body}");
        identities +=
            usize::from(matches!(claim, RepositoryClaim::Payload(i) if !i.repo.is_empty()));
    }
    assert!(identities > 100, "the documents are worth reading");
}
