use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-08-01T{text}Z").parse().unwrap()
}

fn periodic(yaml: serde_json::Value) -> Periodic {
    let text = |key: &str| yaml[key].as_str().unwrap_or_default().to_owned();
    let span = |key: &str| yaml[key].as_str().map(|text| text.parse().unwrap());
    Periodic {
        interval: span("interval"),
        minimum_interval: span("minimum_interval"),
        cron: text("cron"),
        retry: serde_json::from_value(yaml["retry"].clone()).unwrap(),
        ..Periodic::default()
    }
}

/// A run from `started` to `completed` (unfinished when empty), and how it ended.
fn run(started: &str, completed: &str, ending: &str, attempt: u32) -> PeriodicRun {
    PeriodicRun {
        started: at(started),
        completed: (!completed.is_empty()).then(|| at(completed)),
        failed: ending == "failure",
        attempt,
    }
}

fn history(runs: &[PeriodicRun]) -> PeriodicHistory {
    let mut history = PeriodicHistory::default();
    for (index, run) in runs.iter().enumerate() {
        history.observe_run(&index.to_string(), run.clone());
    }
    history
}

/// A schedule in force since the process began, at noon.
const START: ScheduleSince = ScheduleSince {
    at: Timestamp::constant(1_785_585_600, 0),
    catch_up: true,
};

fn decide(
    yaml: serde_json::Value,
    runs: &[PeriodicRun],
    since: ScheduleSince,
    now: &str,
) -> String {
    let periodic = periodic(yaml);
    let rule = PeriodicRule::from_periodic(&periodic).unwrap();
    let found = find_next_run(
        &rule,
        periodic.retry.as_ref(),
        &history(runs),
        since,
        at(now),
    );
    let time = |at: Timestamp| at.strftime("%H:%M:%S").to_string();
    match found {
        NextRun::Now(slot) if slot.attempt == 0 => format!("run {}", time(slot.at)),
        NextRun::Now(slot) => format!("retry {} of {}", slot.attempt, time(slot.at)),
        NextRun::At(at) => format!("wait {}", time(at)),
        NextRun::Waits => "wait".into(),
    }
}

#[test]
fn noon_is_noon() {
    assert_eq!(START.at, at("12:00:00"));
}

/// Decides on one job for each row: runs, the time, what is expected and what that says.
fn check(job: &serde_json::Value, rows: &[(&[PeriodicRun], &str, &str, &str)]) {
    for (runs, now, expected, what) in rows {
        assert_eq!(decide(job.clone(), runs, START, now), *expected, "{what}");
    }
}

#[test]
fn intervals() {
    let done = run("12:00:00", "12:20:00", "success", 0);
    let open = run("12:00:00", "", "", 0);
    let by_hand = [done.clone(), run("12:25:00", "12:26:00", "success", 0)];
    let older_open = [run("11:00:00", "", "", 0), done.clone()];
    let (done, open) = ([done], [open]);
    for job in [
        serde_json::json!({"interval": "30m"}),
        serde_json::json!({"cron": "@every 30m"}),
    ] {
        check(
            &job,
            &[
                (&[], "12:40:00", "run 12:30:00", "the first run is at once"),
                (&done, "12:29:59", "wait 12:30:00", "from start to start"),
                (&done, "12:30:00", "run 12:30:00", "it is over"),
                (&done, "23:00:00", "run 12:30:00", "late, once"),
                (&open, "23:00:00", "wait", "never beside itself"),
                (
                    &by_hand,
                    "12:30:00",
                    "wait 12:55:00",
                    "a run by hand counts",
                ),
                (&older_open, "12:40:00", "wait", "nor beside an older one"),
            ],
        );
    }
    check(
        &serde_json::json!({"minimum_interval": "30m"}),
        &[
            (&[], "12:40:00", "run 12:30:00", "the first run is at once"),
            (
                &done,
                "12:30:00",
                "wait 12:50:00",
                "from completion to start",
            ),
            (&done, "12:50:01", "run 12:50:00", "it is over"),
            (&open, "23:00:00", "wait", "never beside itself"),
        ],
    );
}

#[test]
fn calendars() {
    let on_time = [run("13:00:00", "13:05:00", "success", 0)];
    let open = [run("13:00:00", "", "", 0)];
    let long = [run("13:00:00", "14:10:00", "success", 0)];
    let before = [run("09:00:00", "09:05:00", "success", 0)];
    let made_up = [run("12:10:00", "12:11:00", "success", 0)];
    let by_hand = [run("12:55:00", "13:05:00", "success", 0)];
    check(
        &serde_json::json!({"cron": "0 * * * *"}),
        &[
            (
                &[],
                "12:10:00",
                "wait 13:00:00",
                "the first slot is waited for",
            ),
            (&[], "13:00:00", "run 13:00:00", "the first slot"),
            (&on_time, "13:10:00", "wait 14:00:00", "a slot had its run"),
            (&on_time, "14:00:00", "run 14:00:00", "the next slot"),
            (&open, "14:10:00", "wait", "a slot within a run"),
            (&long, "14:20:00", "wait 15:00:00", "is dropped"),
            (
                &before,
                "12:10:00",
                "run 12:00:00",
                "the last one missed is made up for",
            ),
            (&made_up, "12:20:00", "wait 13:00:00", "once"),
            (
                &by_hand,
                "13:10:00",
                "wait 14:00:00",
                "a run by hand covers its time",
            ),
        ],
    );
    for (cron, now, expected) in [
        ("*/10 * * * * *", "12:00:20", "run 12:00:20"),
        ("0 13 * * *", "12:10:00", "wait 13:00:00"),
        ("TZ=Europe/Berlin 0 15 * * *", "13:00:00", "run 13:00:00"),
        ("0 0 31 2 *", "13:00:00", "wait"),
    ] {
        let job = serde_json::json!({"cron": cron});
        assert_eq!(decide(job, &[], START, now), expected, "{cron}");
    }
}

#[test]
fn a_schedule_added_later_has_missed_nothing() {
    let added = ScheduleSince {
        at: at("12:30:00"),
        catch_up: false,
    };
    let before = [run("09:00:00", "09:05:00", "success", 0)];
    for (now, expected) in [("12:40:00", "wait 13:00:00"), ("13:00:00", "run 13:00:00")] {
        let job = serde_json::json!({"cron": "0 * * * *"});
        assert_eq!(decide(job, &before, added, now), expected);
    }
}

fn failed(attempt: u32) -> [PeriodicRun; 1] {
    [run("12:00:00", "12:05:00", "failure", attempt)]
}

fn passed(attempt: u32) -> [PeriodicRun; 1] {
    [run("12:00:00", "12:05:00", "success", attempt)]
}

#[test]
fn retries() {
    let retry = |attempts: i64, run_all: bool| {
        let retry =
            serde_json::json!({"attempts": attempts, "interval": "10m", "run_all": run_all});
        serde_json::json!({"cron": "0 * * * *", "retry": retry})
    };
    check(
        &retry(2, false),
        &[
            (
                &failed(0),
                "12:10:00",
                "retry 1 of 12:00:00",
                "after its interval",
            ),
            (&failed(0), "12:09:59", "wait 12:10:00", "not before"),
            (
                &failed(1),
                "12:10:00",
                "retry 2 of 12:00:00",
                "a retry, too",
            ),
            (
                &failed(2),
                "12:10:00",
                "wait 13:00:00",
                "as often as allowed",
            ),
            (
                &passed(0),
                "12:10:00",
                "wait 13:00:00",
                "not after a success",
            ),
            (&passed(1), "12:10:00", "wait 13:00:00", "a success ends it"),
            (&failed(0), "13:00:00", "run 13:00:00", "a slot goes first"),
        ],
    );
    check(
        &retry(99, false),
        &[
            (&failed(9), "12:10:00", "retry 10 of 12:00:00", "ten times"),
            (&failed(10), "12:10:00", "wait 13:00:00", "and no more"),
            (
                &failed(u32::MAX),
                "12:10:00",
                "wait 13:00:00",
                "a label that is no number",
            ),
        ],
    );
    check(
        &retry(2, true),
        &[
            (
                &passed(0),
                "12:10:00",
                "wait 13:00:00",
                "it begins with a failure",
            ),
            (&passed(1), "12:10:00", "retry 2 of 12:00:00", "and goes on"),
            (&passed(2), "12:10:00", "wait 13:00:00", "and ends"),
            (
                &[run("12:00:00", "", "", 1)],
                "12:10:00",
                "wait",
                "one after the other",
            ),
        ],
    );
}

#[test]
fn a_run_whose_object_was_deleted_is_not_repeated() {
    let mut history = history(&[run("12:00:00", "", "", 0)]);
    history.remove_run("0", at("12:20:00"));
    let job = periodic(serde_json::json!({
        "minimum_interval": "30m", "retry": {"attempts": 3, "interval": "1m"},
    }));
    let rule = PeriodicRule::from_periodic(&job).unwrap();
    let found = find_next_run(&rule, job.retry.as_ref(), &history, START, at("12:40:00"));
    assert_eq!(found, NextRun::At(at("12:50:00")));
}
