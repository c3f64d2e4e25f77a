use common::{
    github::GithubUser,
    prowjob::{ProwJobStatus, Pull, Refs},
};
use insta::assert_snapshot;

use super::*;

const BOT: &str = "prow[bot]";

fn job(context: &str, state: ProwJobState) -> ProwJob {
    let mut job = ProwJob::new("pj", Default::default());
    job.spec.job_type = ProwJobType::Presubmit;
    job.spec.report = true;
    job.spec.context = context.into();
    job.spec.rerun_command = format!("/test {context}");
    job.spec.refs = Some(Refs {
        org: "o".into(),
        repo: "r".into(),
        pulls: vec![Pull {
            number: 7,
            author: "eve".into(),
            sha: "abc".into(),
            ..Pull::default()
        }],
        ..Refs::default()
    });
    job.metadata.labels = Some([(labels::IS_OPTIONAL.into(), "false".into())].into());
    job.status = Some(ProwJobStatus {
        state,
        url: "http://deck/7".into(),
        completion_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            "2026-08-01T00:00:00Z".parse().unwrap(),
        )),
        ..ProwJobStatus::default()
    });
    job
}

fn comment(id: u64, login: &str, body: &str) -> IssueComment {
    IssueComment {
        id,
        user: GithubUser {
            login: login.into(),
            ..GithubUser::default()
        },
        body: body.into(),
        html_url: String::new(),
    }
}

/// A comment as Prow writes it.
fn report(id: u64, rows: &[&str]) -> IssueComment {
    let rows = rows.join("\n");
    let body =
        format!("@eve: failed\n\n{HEADER}\n{RULE}\n{rows}\n\n<details>\n</details>\n{MARKER}");
    comment(id, BOT, &body)
}

fn told(comments: &[IssueComment], jobs: &[ProwJob], sums_up: bool) -> Vec<CommentChange> {
    let jobs: Vec<&ProwJob> = jobs.iter().collect();
    let report = CommentReport {
        jobs: &jobs,
        sums_up,
        digests: &[],
        note: "",
        outdated: &BTreeSet::new(),
    };
    plan_comments(comments, BOT, &report)
}

/// The changes, with the names in the table.
fn short(actions: &[CommentChange]) -> Vec<String> {
    let names = |body: &str| table_rows(body).map(row_name).collect::<Vec<_>>().join(",");
    actions
        .iter()
        .map(|action| match action {
            CommentChange::Create(body) => format!("create {}", names(body)),
            CommentChange::Edit(id, body) => format!("edit {id} {}", names(body)),
            CommentChange::Delete(id) => format!("delete {id}"),
        })
        .collect()
}

#[test]
fn a_failure_is_a_row_of_prows_table() {
    let [CommentChange::Create(body)] =
        &told(&[], &[job("unit", ProwJobState::Failure)], false)[..]
    else {
        panic!("not one new comment");
    };
    assert_snapshot!(body, @r"
    @eve: The following test **failed**, say `/retest` to rerun all failed tests or `/retest-required` to rerun all mandatory failed tests:

    Test name | Commit | Details | Required | Rerun command
    --- | --- | --- | --- | ---
    unit | abc | [link](http://deck/7) | true | `/test unit`

    <details>

    This comment is kept up to date: a test that passes leaves it, and when none is left, it goes.
    </details>
    <!-- test report -->
    ");
}

#[test]
fn one_comment_is_kept_up_to_date() {
    use ProwJobState::{Aborted, Error, Failure, Success};
    let unit = "unit | old | [link](x) | true | `/test unit`";
    let lint = "lint | old | [link](x) | true | `/test lint`";
    for (name, comments, jobs, expected) in [
        (
            "a success without a comment",
            vec![],
            vec![("unit", Success)],
            vec![],
        ),
        (
            "an error without a comment",
            vec![],
            vec![("unit", Error)],
            vec![],
        ),
        (
            "a second failure edits the comment",
            vec![report(1, &[unit])],
            vec![("lint", Failure)],
            vec!["edit 1 unit,lint"],
        ),
        (
            "the same job fails again",
            vec![report(1, &[unit, lint])],
            vec![("unit", Failure)],
            vec!["edit 1 lint,unit"],
        ),
        (
            "one of two is mended",
            vec![report(1, &[unit, lint])],
            vec![("unit", Success)],
            vec!["edit 1 lint"],
        ),
        (
            "the last one is mended",
            vec![report(1, &[unit])],
            vec![("unit", Success)],
            vec!["delete 1"],
        ),
        (
            "an aborted one leaves too",
            vec![report(1, &[unit])],
            vec![("unit", Aborted)],
            vec!["delete 1"],
        ),
        (
            "an error clears the row",
            vec![report(1, &[unit])],
            vec![("unit", Error)],
            vec!["delete 1"],
        ),
        (
            "several jobs at once",
            vec![report(1, &[unit])],
            vec![("unit", Success), ("lint", Failure), ("e2e", Failure)],
            vec!["edit 1 lint,e2e"],
        ),
        (
            "a later run of the same job counts",
            vec![],
            vec![("unit", Failure), ("unit", Success)],
            vec![],
        ),
        (
            "duplicates go, their rows stay",
            vec![report(1, &[unit]), report(2, &[lint])],
            vec![("e2e", Failure)],
            vec!["edit 2 unit,lint,e2e", "delete 1"],
        ),
        (
            "of two rows of a context the newer stays",
            vec![
                report(1, &[unit, lint]),
                report(2, &["unit | new | [link](x) | true | `t`"]),
            ],
            vec![("e2e", Success)],
            vec!["edit 2 lint,unit", "delete 1"],
        ),
        (
            "others' comments are left alone",
            vec![
                comment(1, "eve", &report(1, &[unit]).body),
                comment(2, BOT, "hello"),
            ],
            vec![("unit", Success)],
            vec![],
        ),
    ] {
        let jobs: Vec<ProwJob> = jobs
            .iter()
            .map(|(context, state)| job(context, *state))
            .collect();
        assert_eq!(short(&told(&comments, &jobs, false)), expected, "{name}");
    }
}

#[test]
fn what_already_stands_there_is_not_written_again() {
    let jobs = [job("unit", ProwJobState::Failure)];
    let [CommentChange::Create(body)] = &told(&[], &jobs, false)[..] else {
        panic!("not one new comment");
    };
    let there = comment(1, BOT, &body.replace('\n', "\r\n"));
    assert_eq!(told(&[there], &jobs, false), []);
}

#[test]
fn a_summary_is_there_even_when_all_is_well() {
    let passed = job("unit", ProwJobState::Success);
    let [CommentChange::Create(body)] = &told(&[], std::slice::from_ref(&passed), true)[..] else {
        panic!("not one new comment");
    };
    assert!(
        body.starts_with("@eve: all tests **passed!**\n\n"),
        "{body}"
    );
    assert_eq!(
        told(
            &[comment(1, BOT, body)],
            std::slice::from_ref(&passed),
            true
        ),
        []
    );
    let aborted = [passed, job("lint", ProwJobState::Aborted)];
    assert_eq!(
        told(&[], &aborted, true),
        [],
        "nobody knows whether all passed"
    );
}

#[test]
fn required_is_what_the_label_says() {
    let mut job = job("unit", ProwJobState::Failure);
    for (label, expected) in [
        (Some("true"), "false"),
        (Some("false"), "true"),
        (Some("maybe"), "unknown"),
        (None, "unknown"),
    ] {
        job.metadata.labels = label.map(|text| [(labels::IS_OPTIONAL.into(), text.into())].into());
        assert_eq!(
            format_row(&job).split(CELL).nth(3),
            Some(expected),
            "{label:?}"
        );
    }
}

#[test]
fn a_strangers_text_stays_in_its_cell() {
    let mut evil = job(
        "a | b\n\n@org/team <!-- test report -->",
        ProwJobState::Failure,
    );
    evil.spec.rerun_command = "`x` | y".into();
    evil.status.as_mut().unwrap().url = "http://d/) | [x](y".into();
    evil.spec.refs.as_mut().unwrap().pulls[0].author = "eve @org/all".into();
    let jobs = [evil.clone(), job("unit", ProwJobState::Failure)];
    let [CommentChange::Create(body)] = &told(&[], &jobs, false)[..] else {
        panic!("not one new comment");
    };
    let rows: Vec<&str> = table_rows(body).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        rows[0],
        "a &#124; b  &#64;\u{200b}org/team &#60;&#33;-- test report --&#62; | abc | \
         [link](http://d/%29%20%7C%20%5Bx%5D%28y) | true | `` `x` \\| y ``"
    );
    assert!(body.starts_with("@eveorgall: "), "{body}");
    let mut mended = evil;
    mended.status.as_mut().unwrap().state = ProwJobState::Success;
    let actions = told(&[comment(1, BOT, body)], &[mended], false);
    assert_eq!(short(&actions), ["edit 1 unit"], "the row is found again");
}

#[test]
fn a_template_cannot_add_rows_and_a_long_one_is_left_out() {
    let failed = job("unit", ProwJobState::Failure);
    let body = |note: &str| {
        let report = CommentReport {
            jobs: &[&failed],
            sums_up: false,
            digests: &[],
            note,
            outdated: &BTreeSet::new(),
        };
        match plan_comments(&[], BOT, &report).pop() {
            Some(CommentChange::Create(body)) => body,
            other => panic!("{other:?}"),
        }
    };
    let with_table = body("Full PR test history\n--- | ---\nnot | a row");
    assert!(
        with_table.contains("`/test unit`\n\nFull PR test history\n"),
        "{with_table}"
    );
    assert_eq!(table_rows(&with_table).count(), 1);
    assert!(body(&"x".repeat(70_000)).len() < 1000);
}

#[test]
fn a_table_without_end_is_cut_at_its_old_end() {
    let jobs: Vec<ProwJob> = (0..2000)
        .map(|n| job(&format!("job-{n}"), ProwJobState::Failure))
        .collect();
    let [CommentChange::Create(body)] = &told(&[], &jobs, false)[..] else {
        panic!("not one new comment");
    };
    assert!(body.len() < 65_536, "{}", body.len());
    assert!(body.contains("job-1999 | ") && body.contains(" earlier ones do not fit here."));
    assert!(body.ends_with(MARKER));
}

#[test]
fn only_presubmits_of_one_pull_request_are_told() {
    let types = [ProwJobType::Presubmit, ProwJobType::Postsubmit];
    let edited = |edit: fn(&mut ProwJob)| {
        let mut job = job("unit", ProwJobState::Failure);
        edit(&mut job);
        job
    };
    for (name, job, expected) in [
        ("a presubmit", edited(|_| ()), true),
        ("skip_report", edited(|job| job.spec.report = false), false),
        (
            "a postsubmit",
            edited(|job| job.spec.job_type = ProwJobType::Postsubmit),
            false,
        ),
        (
            "two pull requests",
            edited(|job| job.spec.refs.as_mut().unwrap().pulls.push(Pull::default())),
            false,
        ),
        ("still running", edited(|job| job.status = None), false),
    ] {
        assert_eq!(belongs_in_comment(&job, &types), expected, "{name}");
    }
    assert!(
        !belongs_in_comment(&edited(|_| ()), &types[1..]),
        "job_types_to_report"
    );
}
