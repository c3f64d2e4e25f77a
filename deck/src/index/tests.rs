use common::prowjob::{ProwJobType, Pull, Refs};
use serde_json::{Value, json};

use super::*;

fn object(name: &str, job: &str, minute: u32, state: &str, extra: &Value) -> ProwJob {
    let mut value = json!({
        "metadata": {"name": name, "labels": {"a": "<b>"}, "annotations": {"c": "d"}},
        "spec": {
            "type": "presubmit",
            "job": job,
            "refs": {"org": "o", "repo": "r", "pulls": [{"number": 7, "author": "alice", "sha": "abc"}]},
        },
        "status": {"state": state, "startTime": format!("2026-01-01T00:{minute:02}:00Z"), "build_id": name},
    });
    merge(&mut value, extra);
    if !["triggered", "pending"].contains(&state) {
        value["status"]["completionTime"] = "2026-01-01T01:00:00Z".into();
    }
    serde_json::from_value(value).unwrap()
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn sample() -> JobIndex {
    let index = JobIndex::default();
    let bob = json!({"spec": {"refs": {"repo": "s", "pulls": [{"number": 8, "author": "bob", "sha": "d"}]}}});
    let post = json!({"spec": {"type": "postsubmit", "refs": {"pulls": []}, "extra_refs": [{"org": "o", "repo": "x"}]}});
    for job in [
        object("1", "unit", 1, "success", &json!({})),
        object("2", "lint", 2, "failure", &json!({})),
        object("3", "unit", 3, "pending", &bob),
        object("4", "post", 4, "success", &post),
        object(
            "5",
            "unit",
            5,
            "failure",
            &json!({"spec": {"hidden": true}}),
        ),
    ] {
        index.put_job(&job);
    }
    index
}

fn names(index: &JobIndex, query: JobListQuery) -> Vec<String> {
    let page = index.query_page(
        &JobFilter::parse_query(&query).unwrap(),
        |job| !job.hidden,
        0,
        10,
    );
    assert_eq!(page.total, page.jobs.len());
    page.jobs.iter().map(|job| job.name.to_string()).collect()
}

#[test]
fn filters_find_their_jobs_newest_first() {
    let index = sample();
    let query = JobListQuery::default;
    for (what, query, expected) in [
        ("everything but hidden jobs", query(), "4 3 2 1"),
        (
            "job",
            JobListQuery {
                job: "unit".into(),
                ..query()
            },
            "3 1",
        ),
        (
            "wildcard",
            JobListQuery {
                job: "*n*t".into(),
                ..query()
            },
            "3 2 1",
        ),
        (
            "repository",
            JobListQuery {
                repo: "o/r".into(),
                ..query()
            },
            "4 2 1",
        ),
        (
            "extra repository",
            JobListQuery {
                repo: "o/x".into(),
                ..query()
            },
            "4",
        ),
        (
            "author",
            JobListQuery {
                author: "bob".into(),
                ..query()
            },
            "3",
        ),
        (
            "type",
            JobListQuery {
                kind: "postsubmit".into(),
                ..query()
            },
            "4",
        ),
        (
            "pull request",
            JobListQuery {
                pull: "7".into(),
                ..query()
            },
            "2 1",
        ),
        (
            "state",
            JobListQuery {
                state: "success".into(),
                ..query()
            },
            "4 1",
        ),
        (
            "two at once",
            JobListQuery {
                state: "success".into(),
                author: "alice".into(),
                ..query()
            },
            "1",
        ),
        (
            "a name nobody has",
            JobListQuery {
                author: "eve".into(),
                ..query()
            },
            "",
        ),
    ] {
        assert_eq!(names(&index, query).join(" "), expected, "{what}");
    }
}

#[test]
fn counts_ignore_the_state_that_is_asked_for() {
    let query = JobListQuery {
        state: "failure".into(),
        ..JobListQuery::default()
    };
    let page = sample().query_page(
        &JobFilter::parse_query(&query).unwrap(),
        |job| !job.hidden,
        0,
        10,
    );
    assert_eq!(page.total, 1);
    assert_eq!(page.counts[&ProwJobState::Success], 2);
    assert_eq!(page.counts[&ProwJobState::Failure], 1);
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let index = sample();
    let page = |skip| {
        let page = index.query_page(&JobFilter::default(), |_| true, skip, 2);
        assert_eq!(page.total, 5);
        page.jobs
            .iter()
            .map(|job| job.name.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        [page(0), page(2), page(4), page(6)],
        ["5 4", "3 2", "1", ""]
    );
}

#[test]
fn a_changed_job_is_found_by_what_it_is_now() {
    let index = sample();
    let revision = index
        .query_page(&JobFilter::default(), |_| true, 0, 1)
        .revision;
    index.put_job(&object("3", "unit", 3, "success", &json!({})));
    index.remove_job("1");
    let author = |name: &str| {
        names(
            &index,
            JobListQuery {
                author: name.into(),
                ..JobListQuery::default()
            },
        )
        .join(" ")
    };
    assert_eq!([author("bob"), author("alice")], ["", "3 2"]);
    assert_eq!(
        index.find_by_build("unit", "3").unwrap().state,
        ProwJobState::Success
    );
    assert!(index.find_by_build("unit", "1").is_none());
    assert!(
        index.find_by_build("lint", "3").is_none(),
        "a build belongs to its job"
    );

    let missed = index.subscribe_since(revision).unwrap().missed;
    let told: Vec<_> = missed
        .iter()
        .map(|change| {
            (
                change.before.is_some(),
                change.after.as_ref().map(|job| job.state),
            )
        })
        .collect();
    assert_eq!(told, [(true, Some(ProwJobState::Success)), (true, None)]);
    assert!(
        index.subscribe_since(revision + 3).is_none(),
        "a revision of another process"
    );
}

#[test]
fn listing_again_is_no_news() {
    let index = sample();
    let revision = index
        .query_page(&JobFilter::default(), |_| true, 0, 1)
        .revision;
    index.put_job(&object("1", "unit", 1, "success", &json!({})));
    assert_eq!(
        index
            .query_page(&JobFilter::default(), |_| true, 0, 1)
            .revision,
        revision
    );
}

#[test]
fn choices_name_nothing_hidden() {
    let index = sample();
    index.put_job(&object(
        "6",
        "secret",
        6,
        "success",
        &json!({"spec": {"hidden": true, "refs": {"repo": "hush", "pulls": [{"number": 1, "author": "eve"}]}}}),
    ));
    let choices = index.filter_choices(|job| !job.hidden, 10);
    let text = |names: &[Arc<str>]| names.join(" ");
    assert_eq!(text(&choices.repos), "o/r o/s o/x");
    assert_eq!(text(&choices.jobs), "lint post unit");
    assert_eq!(text(&choices.authors), "alice bob");
}

#[test]
fn pieces_are_left_out_on_request() {
    let index = JobIndex::default();
    let spec = json!({"spec": {
        "pod_spec": {"containers": [{"image": "x", "env": [
            {"name": "GITHUB_TOKEN", "value": "s3cret"},
            {"name": "TOKEN_PATH", "value": "/etc/token"},
        ]}]},
        "decoration_config": {"timeout": "1h0m0s"},
    }});
    index.put_job(&object("1", "unit", 1, "success", &spec));
    let job = index.find_by_name("1").unwrap();
    let read = |omit: &str| -> Value {
        let text = job.to_json(OmitFields::parse_list(omit));
        assert!(!text.contains('<'), "{text}");
        serde_json::from_str(&text).unwrap()
    };

    let whole = read("");
    assert_eq!(whole["metadata"]["labels"]["a"], "<b>");
    assert_eq!(whole["spec"]["decoration_config"]["timeout"], "1h0m0s");
    let env = &whole["spec"]["pod_spec"]["containers"][0]["env"];
    assert_eq!(env[0]["value"], "REDACTED");
    assert_eq!(env[1]["value"], "/etc/token");

    let slim = read("annotations,labels,decoration_config,pod_spec");
    assert_eq!(slim["metadata"], json!({"name": "1"}));
    assert_eq!(
        slim["spec"]["pod_spec"],
        json!({"containers": [{"name": "", "resources": {}}]})
    );
    assert_eq!(slim["spec"].get("decoration_config"), None);
    assert_eq!(slim["status"]["state"], "success");
    assert_eq!(slim["kind"], "ProwJob");
}

#[test]
fn what_is_shown_links_to_what_the_job_says() {
    let index = JobIndex::default();
    let mut job = object("1", "unit", 1, "pending", &json!({}));
    job.spec.job_type = ProwJobType::Batch;
    job.spec.refs = Some(Refs {
        org: "o".into(),
        repo: "r".into(),
        pulls: [1, 2]
            .map(|number| Pull {
                number,
                ..Pull::default()
            })
            .into(),
        ..Refs::default()
    });
    index.put_job(&job);
    let shown = index.find_by_name("1").unwrap();
    assert_eq!(
        shown
            .pulls
            .iter()
            .map(|pull| pull.number)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        shown.pod_name.as_ref(),
        "1",
        "a pod is named as its ProwJob"
    );
    assert_eq!(shown.containers.join(" "), "test");
}

#[test]
fn jobs_that_wait_for_the_same_limit_have_places_in_line() {
    let waits = |name: &str, minute, text: &str| {
        let extra = json!({"status": {"description": text, "build_id": ""}});
        object(name, "unit", minute, "triggered", &extra)
    };
    let index = JobIndex::default();
    let full = "Waiting: job queue big is full.";
    for (name, minute, text) in [
        ("late", 9, full),
        ("early", 3, full),
        ("other", 1, "Waiting: plank.max_concurrency is reached."),
        ("free", 2, ""),
    ] {
        index.put_job(&waits(name, minute, text));
    }
    let place = |name: &str| index.queue_position(&index.find_by_name(name).unwrap());
    assert_eq!(place("early"), Some(1));
    assert_eq!(place("late"), Some(2));
    assert_eq!(place("other"), Some(1));
    assert_eq!(place("free"), None);
    index.put_job(&object("early", "unit", 3, "pending", &json!({})));
    assert_eq!((place("early"), place("late")), (None, Some(1)));
}
