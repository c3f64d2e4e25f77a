use proptest::prelude::*;

use super::*;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const DIR: &str = "pr-logs/pull/o_r/7/unit/1234";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn keys() -> StorageKeys {
    StorageKeys::new(Some(KEY), None).unwrap()
}

fn grant(folder: &str) -> StorageGrant {
    verify_token(&keys(), &sign_token(KEY, folder, at(1000)), at(999)).unwrap()
}

#[test]
fn opens_its_own_run_and_no_other() {
    let other = Err(TokenError::OtherRun);
    for name in ["build-log.txt", "artifacts/a/b"] {
        let key = format!("{DIR}/{name}");
        assert_eq!(grant(DIR).check_key(&key), Ok(GrantedKey::Inside(name)));
    }
    for (key, expected) in [
        ("pr-logs/directory/unit/1234.txt", Ok(GrantedKey::Alias)),
        (
            "pr-logs/directory/unit/latest-build.txt",
            Ok(GrantedKey::LatestBuild),
        ),
        (
            "pr-logs/pull/o_r/7/unit/latest-build.txt",
            Ok(GrantedKey::LatestBuild),
        ),
        (DIR, other),
        ("pr-logs/pull/o_r/7/unit/12345/x", other),
        ("pr-logs/pull/o_r/7/unit/1234/../1235/x", other),
        ("pr-logs/pull/o_r/7/unit/1234//x", other),
        ("pr-logs/directory/unit/1235.txt", other),
        ("pr-logs/directory/other/latest-build.txt", other),
        ("logs/unit/latest-build.txt", other),
        ("", other),
    ] {
        assert_eq!(grant(DIR).check_key(key), expected, "{key}");
    }
    assert_eq!(grant(DIR).build_id(), "1234");
}

#[test]
fn a_run_without_a_jobs_name_reaches_no_run_of_a_job_with_a_number_for_its_name() {
    let nameless = grant("logs/12");
    let other = Err(TokenError::OtherRun);
    for (key, expected) in [
        (
            "logs/12/build-log.txt",
            Ok(GrantedKey::Inside("build-log.txt")),
        ),
        ("logs/12/artifacts/7", Ok(GrantedKey::Inside("artifacts/7"))),
        ("logs/latest-build.txt", Ok(GrantedKey::LatestBuild)),
        ("logs/12/7", other),
        ("logs/12/7/build-log.txt", other),
        ("logs/12/latest-build.txt", other),
        ("logs/13/build-log.txt", other),
    ] {
        assert_eq!(nameless.check_key(key), expected, "{key}");
    }
    assert!(grant("logs/12/7").check_key("logs/12/7/x").is_ok());
    assert!(grant("logs/12/7").check_key("logs/12/x").is_err());
}

#[test]
fn lists_its_own_folder_and_no_other() {
    let other = Err(TokenError::OtherRun);
    for (folder, expected) in [
        (DIR, Ok(())),
        ("pr-logs/pull/o_r/7/unit/1234/artifacts", Ok(())),
        ("pr-logs/pull/o_r/7/unit", other),
        ("pr-logs/pull/o_r/7/unit/12345", other),
        ("pr-logs/pull/o_r/7/unit/1234/../1235", other),
        ("pr-logs/directory/unit", other),
        ("pr-logs/directory/unit/1234.txt", other),
        ("", other),
    ] {
        assert_eq!(grant(DIR).check_listing(folder), expected, "{folder}");
    }
    assert_eq!(grant("").check_listing(""), other);
}

#[test]
fn ends_in_time() {
    let token = sign_token(KEY, DIR, at(1000));
    assert_eq!(
        verify_token(&keys(), &token, at(1000)),
        Err(TokenError::Expired)
    );
}

#[test]
fn a_changed_token_is_worth_nothing() {
    let check = |token: &str| verify_token(&keys(), token, at(1)).map(drop);
    let bad = Err(TokenError::BadSignature);
    let token = sign_token(KEY, DIR, at(1000));
    let stranger = StorageKeys::new(Some(b"another key of 16 bytes"), None).unwrap();
    assert_eq!(verify_token(&stranger, &token, at(1)).map(drop), bad);
    assert_eq!(check(&token.replacen("v1.1000", "v1.9999", 1)), bad);
    let own_mac = token.rsplit_once('.').unwrap().1;
    let folder = URL_SAFE_NO_PAD.encode("logs/victim/1");
    assert_eq!(check(&format!("v1.1000.{folder}.{own_mac}")), bad);
    for token in ["", ".", "v1", "v1.1000.x.!!", "x.y"] {
        assert!(check(token).is_err(), "{token}");
    }
}

#[test]
fn a_folder_that_is_no_runs_or_inside_anothers_opens_nothing() {
    for folder in [
        "",
        "/",
        "a/../b",
        "a/b",
        "logs/unit",
        "logs",
        "logs/victim/1/artifacts/logs/mine/2",
        "pr-logs/pull/o_r/7/victim/1/pr-logs/pull/o_r/8/mine/2",
    ] {
        let grant = grant(folder);
        for key in [
            format!("{folder}/x"),
            "a/b".to_owned(),
            "/etc".to_owned(),
            "logs/unit/latest-build.txt".to_owned(),
            "logs/victim/1/artifacts/x".to_owned(),
        ] {
            assert_eq!(
                grant.check_key(&key),
                Err(TokenError::OtherRun),
                "{folder}: {key}"
            );
        }
        assert!(grant.check_listing(folder).is_err(), "{folder}");
    }
    let tenant = grant("tenant/logs/unit/7");
    assert!(tenant.check_key("tenant/logs/unit/7/x").is_ok());
}

proptest! {
    /// Property test: a token allows nothing in another run's folder.
    #[test]
    fn no_key_is_two_runs(
        prefix in "(a|logs|logs/j/1|pr-logs/pull/o_r/7|x/logs|logs/1)?",
        other_prefix in "(a|logs|logs/j/1|pr-logs/pull/o_r/7|x/logs|logs/1)?",
        job in "(j|logs|1|pull)",
        name in "(x|artifacts/logs/j/1/x|logs/j/2/x|latest-build.txt|1/x)",
    ) {
        let folder = |prefix: &str, job: &str, id: u8| {
            format!("{prefix}/logs/{job}/{id}").trim_start_matches('/').to_owned()
        };
        let (mine, other) = (folder(&prefix, &job, 1), folder(&other_prefix, "j", 2));
        let key = format!("{mine}/{name}");
        if mine != other && grant(&mine).check_key(&key).is_ok() {
            let foreign = grant(&other).check_key(&key).is_ok();
            prop_assert!(!foreign, "{other} reaches {key}");
        }
    }
}
