use common::prowjob::{ProwJobType, Refs};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

const OWN: PresubmitOrigin<'_> = PresubmitOrigin {
    central: &[],
    may_have_others: true,
};

/// A run created at a second, by an event, on a commit.
fn run(second: i64, event: &str, sha: &str, context: &str) -> ProwJob {
    let mut job = ProwJob::new("pj", Default::default());
    job.metadata.creation_timestamp = Some(Time(jiff::Timestamp::from_second(second).unwrap()));
    let guid = (!event.is_empty()).then(|| (labels::EVENT_GUID.to_owned(), event.to_owned()));
    job.metadata.labels = Some(guid.into_iter().collect());
    job.spec.job_type = ProwJobType::Presubmit;
    job.spec.context = context.into();
    job.spec.refs = Some(Refs {
        pulls: vec![Pull {
            number: 7,
            sha: sha.into(),
            ..Pull::default()
        }],
        ..Refs::default()
    });
    job
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn comment(rows: &[&str]) -> IssueComment {
    let rows = rows.join("\n");
    let body = format!(
        "failed\n\n{}\n{}\n{rows}\n\n{}",
        super::super::HEADER,
        super::super::RULE,
        super::super::MARKER
    );
    IssueComment {
        id: 1,
        user: common::github::GithubUser {
            login: "bot".into(),
            ..Default::default()
        },
        body,
        html_url: String::new(),
    }
}

#[test]
fn a_row_of_another_commit_and_of_no_central_job_is_looked_into() {
    let there = [comment(&[
        "old | a | [link](x) | true | `/test old`",
        "central | a | [link](x) | true | `/test central`",
        "new | b | [link](x) | true | `/test new`",
    ])];
    let central = Presubmit {
        context: "central".into(),
        ..Presubmit::default()
    };
    let told = [run(1, "1", "a", "late"), run(2, "2", "b", "unit")];
    let told: Vec<&ProwJob> = told.iter().collect();
    for (central, expected) in [
        (vec![&central], names(&["late", "old"])),
        (vec![], names(&["central", "late", "old"])),
    ] {
        let origin = PresubmitOrigin {
            central: &central,
            may_have_others: true,
        };
        assert_eq!(
            find_outdated_candidates(&there, "bot", &told, &origin),
            expected
        );
    }
    assert_eq!(
        find_outdated_candidates(&there, "other", &told[1..], &OWN),
        names(&[])
    );
}

#[test]
fn where_the_configuration_has_all_jobs_it_decides() {
    let origin = PresubmitOrigin {
        may_have_others: false,
        ..OWN
    };
    assert_eq!(
        find_outdated_rows(names(&["old"]), &[], &origin),
        names(&["old"])
    );
}

#[test]
fn a_job_that_no_longer_runs_by_itself_is_outdated() {
    let pushed = |first: &[&str], second: &[&str]| -> Vec<ProwJob> {
        let first = first.iter().map(|context| run(1, "1", "a", context));
        let second = second.iter().map(|context| run(9, "9", "b", context));
        first.chain(second).collect()
    };
    let with = |mut runs: Vec<ProwJob>, more: &[ProwJob]| {
        runs.extend_from_slice(more);
        runs
    };
    for (what, runs, goes) in [
        ("it was removed", pushed(&["unit", "old"], &["unit"]), true),
        (
            "it was renamed",
            pushed(&["unit", "old"], &["unit", "new"]),
            true,
        ),
        (
            "it runs still",
            pushed(&["unit", "old"], &["unit", "old"]),
            false,
        ),
        (
            "it was only ever asked for",
            with(pushed(&["unit"], &["unit"]), &[run(2, "2", "a", "old")]),
            false,
        ),
        (
            "it is asked for on the new commit",
            with(
                pushed(&["unit", "old"], &["unit"]),
                &[run(10, "10", "b", "old")],
            ),
            false,
        ),
        ("nothing runs by itself", pushed(&["old"], &["unit"]), false),
        ("nothing is left of its runs", pushed(&[], &["unit"]), false),
        (
            "nobody knows what started it",
            with(pushed(&["unit"], &["unit"]), &[run(1, "", "a", "old")]),
            false,
        ),
        (
            "it was asked for in the second of the push",
            {
                let [mut first, mut later] = ["unit", "old"].map(|it| run(1, it, "a", it));
                first.status.get_or_insert_default().build_id = "9".into();
                later.status.get_or_insert_default().build_id = "10".into();
                vec![later, first, run(9, "9", "b", "unit")]
            },
            false,
        ),
        ("there was no push", pushed(&["unit", "old"], &[]), false),
        (
            "two pushes ago",
            with(
                pushed(&["unit", "old"], &["unit"]),
                &[run(5, "5", "c", "unit")],
            ),
            true,
        ),
    ] {
        let found = find_outdated_rows(names(&["old"]), &runs, &OWN);
        assert_eq!(found.contains("old"), goes, "{what}");
    }
}
