use std::collections::BTreeSet;

use common::prowjob::{GcsConfiguration, PathStrategy};
use common::storage::paths;
use proptest::prelude::*;

use super::*;

fn word(witness: VisibilitySource, hidden: bool, tenants: &[&str]) -> VisibilityStatement {
    VisibilityStatement {
        witness,
        hidden,
        tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
    }
}

fn tenant(name: &str) -> Viewer {
    Viewer::Tenants(BTreeSet::from([name.to_owned()]))
}

#[test]
fn each_word_in_its_turn() {
    use Viewer::{Everything, HiddenOnly, Public};
    use VisibilitySource::{Configuration, ProwJob, Segment, Started, StoredProwJob};
    let shown = |by| VisibilityVerdict { shown: true, by };
    let hidden = |by| VisibilityVerdict { shown: false, by };
    for (what, viewer, any_hidden, words, expected) in [
        ("nothing is hidden here", Public, false, vec![], shown(None)),
        ("something is", Public, true, vec![], hidden(None)),
        (
            "and who sees all sees it",
            Everything,
            true,
            vec![],
            shown(None),
        ),
        (
            "and who sees the hidden",
            HiddenOnly,
            true,
            vec![],
            shown(None),
        ),
        ("and no tenant", tenant("t"), true, vec![], hidden(None)),
        (
            "the ProwJob tells",
            Public,
            true,
            vec![word(ProwJob, false, &[""])],
            shown(Some(ProwJob)),
        ),
        (
            "the configuration hides, whatever the run says",
            Public,
            true,
            vec![
                word(Configuration, true, &[""]),
                word(StoredProwJob, false, &[""]),
                word(Started, false, &[]),
                word(Segment, false, &[]),
            ],
            hidden(Some(Configuration)),
        ),
        (
            "the run may hide itself",
            Public,
            false,
            vec![
                word(Configuration, false, &[""]),
                word(StoredProwJob, true, &[""]),
            ],
            hidden(Some(StoredProwJob)),
        ),
        (
            "so may its repositories",
            Public,
            true,
            vec![word(StoredProwJob, false, &[""]), word(Started, true, &[])],
            hidden(Some(Started)),
        ),
        (
            "and its path",
            Public,
            true,
            vec![word(Started, false, &[]), word(Segment, true, &[])],
            hidden(Some(Segment)),
        ),
    ] {
        assert_eq!(
            decide_visibility(&viewer, any_hidden, &words),
            expected,
            "{what}"
        );
    }
}

#[test]
fn a_tenants_runs_are_the_tenants() {
    use Viewer::Public;
    use VisibilitySource::{Configuration, StoredProwJob};
    for (what, viewer, words, shown) in [
        (
            "a tenant's own",
            tenant("t"),
            vec![
                word(Configuration, false, &["t"]),
                word(StoredProwJob, false, &["t"]),
            ],
            true,
        ),
        (
            "is nobody else's",
            Public,
            vec![word(Configuration, false, &["t"])],
            false,
        ),
        (
            "a run cannot give itself to a tenant",
            tenant("t"),
            vec![
                word(Configuration, false, &["u"]),
                word(StoredProwJob, false, &["t"]),
            ],
            false,
        ),
        (
            "of two jobs of one name, both must be the tenant's",
            tenant("t"),
            vec![word(Configuration, false, &["t", "u"])],
            false,
        ),
    ] {
        assert_eq!(
            decide_visibility(&viewer, true, &words).shown,
            shown,
            "{what}"
        );
    }
}

#[test]
fn a_verdict_says_why() {
    let by = |shown, by| VisibilityVerdict { shown, by }.to_string();
    assert_eq!(
        by(false, Some(VisibilitySource::Started)),
        "hidden by started.json"
    );
    assert_eq!(
        by(true, Some(VisibilitySource::ProwJob)),
        "shown by its ProwJob"
    );
    assert_eq!(by(false, None), "hidden, as nothing is known of it");
}

fn viewers() -> impl Strategy<Value = Viewer> {
    prop_oneof![
        Just(Viewer::Public),
        Just(Viewer::Everything),
        Just(Viewer::HiddenOnly),
        Just(tenant("t")),
        Just(tenant("u")),
    ]
}

fn words() -> impl Strategy<Value = Vec<VisibilityStatement>> {
    let tenant = prop::sample::select(vec!["", "GlobalDefaultID", "t", "u"]);
    let witness = prop::sample::select(vec![
        VisibilitySource::ProwJob,
        VisibilitySource::Configuration,
        VisibilitySource::StoredProwJob,
        VisibilitySource::Started,
        VisibilitySource::Segment,
    ]);
    let one = (witness, any::<bool>(), prop::collection::vec(tenant, 0..3));
    let words = prop::collection::vec(one, 0..6).prop_map(|words| {
        let word = |(witness, hidden, tenants): (_, _, Vec<_>)| word(witness, hidden, &tenants);
        words.into_iter().map(word).collect::<Vec<_>>()
    });
    words.prop_map(|mut words| {
        words.sort_by_key(|word| word.witness);
        words
    })
}

proptest! {
    #[test]
    fn of_a_run_that_is_gone_each_may_hide_and_none_shows_what_another_hides(
        viewer in viewers(),
        any_hidden in any::<bool>(),
        words in words(),
    ) {
        let all = decide_visibility(&viewer, any_hidden, &words).shown;
        // A further statement, whatever it says, shows nothing that was hidden before it.
        for known in 1..words.len() {
            let before = decide_visibility(&viewer, any_hidden, &words[..known]).shown;
            prop_assert!(before || !all, "{:?}", &words[known..]);
        }
        // At any position, a statement that hides does so for all who do not see hidden runs.
        let hides = words.iter().any(|word| word.hidden);
        prop_assert!(!(viewer == Viewer::Public && hides && all));
        // Without statements, the run is hidden if anything is.
        if words.is_empty() && any_hidden {
            prop_assert!(viewer != Viewer::Public || !all);
        }
    }

    #[test]
    fn the_segment_of_a_hidden_repository_is_known(
        strategy in prop::sample::select(vec![
            PathStrategy::Explicit, PathStrategy::Legacy, PathStrategy::Single,
        ]),
        org in "[a-z]{1,2}(_[a-z]{1,2})?",
        repo in "[a-z]{1,2}([_/][a-z]{1,2})?",
        gerrit in any::<bool>(),
        is_default in (any::<bool>(), any::<bool>()),
        whole_org in any::<bool>(),
        with_scheme in any::<bool>(),
    ) {
        let host = if gerrit { format!("https://{org}.example.com") } else { org };
        let config = GcsConfiguration {
            path_strategy: Some(strategy),
            default_org: if is_default.0 { host.clone() } else { "other".into() },
            default_repo: if is_default.1 { repo.clone() } else { "other".into() },
            ..GcsConfiguration::default()
        };
        let named = if with_scheme { host.clone() } else { host.replace("https://", "") };
        let entry = if whole_org { named.to_uppercase() } else { format!("{named}/{repo}") };
        let hidden = HiddenRepos::new(&[entry]);
        let full = format!("{host}/{repo}");
        prop_assert!(hidden.contains_repo(&full));
        let segment = Some(paths::repo_segment(&config, &host, &repo)).filter(|it| !it.is_empty());
        let segments = RepoSegment::from_configurations([&config].into_iter());
        prop_assert_eq!(segments.is_hidden(segment.as_deref(), &hidden), Some(true));
    }
}

#[test]
fn segments_and_names() {
    let hidden = HiddenRepos::new(&["o/secret".to_owned(), "hush".to_owned()]);
    for (repo, expected) in [
        ("o/secret", true),
        ("O/Secret", true),
        ("o/r", false),
        ("hush/r", true),
        ("https://hush/a/b", true),
        ("hush", true),
        ("hushed/r", false),
        ("", false),
    ] {
        assert_eq!(hidden.contains_repo(repo), expected, "{repo}");
    }
    let kubernetes = GcsConfiguration {
        default_org: "o".into(),
        default_repo: "main".into(),
        ..GcsConfiguration::default()
    };
    let none = RepoSegment::default();
    let some = RepoSegment::from_configurations([&kubernetes].into_iter());
    for (segments, segment, expected) in [
        (&none, Some("o_r"), Some(false)),
        (&none, Some("o_secret"), Some(true)),
        (&none, Some("hush_x"), Some(true)),
        (&none, Some("secret"), None),
        (&none, None, None),
        (&some, Some("secret"), Some(true)),
        (&some, Some("public"), Some(false)),
        (&some, None, Some(false)),
    ] {
        assert_eq!(
            segments.is_hidden(segment, &hidden),
            expected,
            "{segment:?}"
        );
    }
}
