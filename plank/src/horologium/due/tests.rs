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
fn run(started: &str, completed: &str, ending: &str, attempt: u32) -> Run {
    Run {
        started: at(started),
        completed: (!completed.is_empty()).then(|| at(completed)),
        failed: ending == "failure",
        attempt,
    }
}

fn history(runs: &[Run]) -> History {
    let mut history = History::default();
    for (index, run) in runs.iter().enumerate() {
        history.observe(&index.to_string(), run.clone());
    }
    history
}

/// In force since the process began, at noon.
const START: Since = Since {
    at: Timestamp::constant(1_785_585_600, 0),
    catch_up: true,
};

fn decide(yaml: serde_json::Value, runs: &[Run], since: Since, now: &str) -> String {
    let periodic = periodic(yaml);
    let rule = Rule::of(&periodic).unwrap();
    let found = due(
        &rule,
        periodic.retry.as_ref(),
        &history(runs),
        since,
        at(now),
    );
    let time = |at: Timestamp| at.strftime("%H:%M:%S").to_string();
    match found {
        Due::Now(slot) if slot.attempt == 0 => format!("run {}", time(slot.at)),
        Due::Now(slot) => format!("retry {} of {}", slot.attempt, time(slot.at)),
        Due::At(at) => format!("wait {}", time(at)),
        Due::Waits => "wait".into(),
    }
}

#[test]
fn noon_is_noon() {
    assert_eq!(START.at, at("12:00:00"));
}

#[test]
fn intervals() {
    let every = || serde_json::json!({"interval": "30m"});
    let after = || serde_json::json!({"minimum_interval": "30m"});
    let cron = || serde_json::json!({"cron": "@every 30m"});
    let done = |started, completed| vec![run(started, completed, "success", 0)];
    for (what, job, runs, now, expected) in [
        (
            "interval: the first run is at once",
            every(),
            vec![],
            "12:40:00",
            "run 12:30:00",
        ),
        (
            "minimum_interval: the first run is at once",
            after(),
            vec![],
            "12:40:00",
            "run 12:30:00",
        ),
        (
            "@every: the first run is at once",
            cron(),
            vec![],
            "12:40:00",
            "run 12:30:00",
        ),
        (
            "interval counts from the start",
            every(),
            done("12:00:00", "12:20:00"),
            "12:29:59",
            "wait 12:30:00",
        ),
        (
            "interval is over",
            every(),
            done("12:00:00", "12:20:00"),
            "12:30:00",
            "run 12:30:00",
        ),
        (
            "@every counts from the start",
            cron(),
            done("12:00:00", "12:20:00"),
            "12:30:00",
            "run 12:30:00",
        ),
        (
            "minimum_interval counts from the completion",
            after(),
            done("12:00:00", "12:20:00"),
            "12:30:00",
            "wait 12:50:00",
        ),
        (
            "minimum_interval is over",
            after(),
            done("12:00:00", "12:20:00"),
            "12:50:01",
            "run 12:50:00",
        ),
        (
            "an unfinished run is waited for",
            every(),
            done("12:00:00", ""),
            "23:00:00",
            "wait",
        ),
        (
            "what is late is named by when it was due",
            every(),
            done("12:00:00", "12:01:00"),
            "23:00:00",
            "run 12:30:00",
        ),
        (
            "a run made by hand counts",
            every(),
            vec![
                run("12:00:00", "12:01:00", "success", 0),
                run("12:25:00", "12:26:00", "success", 0),
            ],
            "12:30:00",
            "wait 12:55:00",
        ),
        (
            "an older one made by hand that is unfinished is waited for",
            every(),
            vec![
                run("11:00:00", "", "", 0),
                run("11:25:00", "11:26:00", "success", 0),
            ],
            "12:30:00",
            "wait",
        ),
    ] {
        assert_eq!(decide(job, &runs, START, now), expected, "{what}");
    }
}

#[test]
fn calendars() {
    let hourly = || serde_json::json!({"cron": "0 * * * *"});
    let done = |started, completed| vec![run(started, completed, "success", 0)];
    let added = Since {
        at: at("12:30:00"),
        catch_up: false,
    };
    for (what, job, runs, since, now, expected) in [
        (
            "without a run the first slot is waited for",
            hourly(),
            vec![],
            START,
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "the first slot",
            hourly(),
            vec![],
            START,
            "13:00:00",
            "run 13:00:00",
        ),
        (
            "a slot had its run",
            hourly(),
            done("13:00:00", "13:05:00"),
            START,
            "13:10:00",
            "wait 14:00:00",
        ),
        (
            "the next slot",
            hourly(),
            done("13:00:00", "13:05:00"),
            START,
            "14:00:00",
            "run 14:00:00",
        ),
        (
            "a slot in a run is waited out",
            hourly(),
            done("13:00:00", ""),
            START,
            "14:10:00",
            "wait",
        ),
        (
            "and dropped when the run ends",
            hourly(),
            done("13:00:00", "14:10:00"),
            START,
            "14:20:00",
            "wait 15:00:00",
        ),
        (
            "of the slots missed the last is made up for",
            hourly(),
            done("09:00:00", "09:05:00"),
            START,
            "12:10:00",
            "run 12:00:00",
        ),
        (
            "once",
            hourly(),
            done("12:10:00", "12:11:00"),
            START,
            "12:20:00",
            "wait 13:00:00",
        ),
        (
            "a schedule added later has missed nothing",
            hourly(),
            done("09:00:00", "09:05:00"),
            added,
            "12:40:00",
            "wait 13:00:00",
        ),
        (
            "and fires at its first slot",
            hourly(),
            done("09:00:00", "09:05:00"),
            added,
            "13:00:00",
            "run 13:00:00",
        ),
        (
            "a run made by hand covers its time",
            hourly(),
            done("12:55:00", "13:05:00"),
            START,
            "13:10:00",
            "wait 14:00:00",
        ),
        (
            "seconds",
            serde_json::json!({"cron": "*/10 * * * * *"}),
            done("12:00:10", "12:00:11"),
            START,
            "12:00:20",
            "run 12:00:20",
        ),
        (
            "without a zone it is UTC",
            serde_json::json!({"cron": "0 13 * * *"}),
            vec![],
            START,
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "in a zone",
            serde_json::json!({"cron": "TZ=Europe/Berlin 0 15 * * *"}),
            vec![],
            START,
            "13:00:00",
            "run 13:00:00",
        ),
        (
            "a day that never comes",
            serde_json::json!({"cron": "0 0 31 2 *"}),
            vec![],
            START,
            "13:00:00",
            "wait",
        ),
    ] {
        assert_eq!(decide(job, &runs, since, now), expected, "{what}");
    }
}

#[test]
fn retries() {
    let job = |run_all: bool| {
        serde_json::json!({
            "cron": "0 * * * *",
            "retry": {"attempts": 2, "interval": "10m", "run_all": run_all},
        })
    };
    let many = serde_json::json!({"interval": "9h", "retry": {"attempts": 99, "interval": "1m"}});
    let failed = |attempt| vec![run("12:00:00", "12:05:00", "failure", attempt)];
    let passed = |attempt| vec![run("12:00:00", "12:05:00", "success", attempt)];
    for (what, job, runs, now, expected) in [
        (
            "a failed run is repeated after its interval",
            job(false),
            failed(0),
            "12:10:00",
            "retry 1 of 12:00:00",
        ),
        (
            "not before",
            job(false),
            failed(0),
            "12:09:59",
            "wait 12:10:00",
        ),
        (
            "a failed retry is repeated",
            job(false),
            failed(1),
            "12:10:00",
            "retry 2 of 12:00:00",
        ),
        (
            "as often as allowed",
            job(false),
            failed(2),
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "at most ten times",
            many.clone(),
            failed(9),
            "12:10:00",
            "retry 10 of 12:00:00",
        ),
        (
            "whatever is allowed",
            many,
            failed(10),
            "12:10:00",
            "wait 21:00:00",
        ),
        (
            "a success is not repeated",
            job(false),
            passed(0),
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "a success ends the retries",
            job(false),
            passed(1),
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "run_all goes on after one",
            job(true),
            passed(1),
            "12:10:00",
            "retry 2 of 12:00:00",
        ),
        (
            "run_all begins with a failure",
            job(true),
            passed(0),
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "run_all ends too",
            job(true),
            passed(2),
            "12:10:00",
            "wait 13:00:00",
        ),
        (
            "run_all waits for the run before, too",
            job(true),
            vec![run("12:00:00", "", "", 1)],
            "12:10:00",
            "wait",
        ),
        (
            "a regular run goes before a retry",
            job(false),
            failed(0),
            "13:00:00",
            "run 13:00:00",
        ),
        (
            "a label that is no number ends the retries",
            job(true),
            failed(u32::MAX),
            "12:10:00",
            "wait 13:00:00",
        ),
    ] {
        assert_eq!(decide(job, &runs, START, now), expected, "{what}");
    }
}

#[test]
fn a_run_whose_object_was_deleted_is_not_repeated() {
    let mut history = history(&[run("12:00:00", "", "", 0)]);
    history.remove("0", at("12:20:00"));
    let job = periodic(serde_json::json!({
        "minimum_interval": "30m", "retry": {"attempts": 3, "interval": "1m"},
    }));
    let rule = Rule::of(&job).unwrap();
    let found = due(&rule, job.retry.as_ref(), &history, START, at("12:40:00"));
    assert_eq!(found, Due::At(at("12:50:00")));
}
