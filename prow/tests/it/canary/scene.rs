//! A demo whose jobs print secrets, and everything that can be seen of each run.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    MINUTE, shapes,
    slack::{self, SlackChannel},
};
use crate::{
    contributor::Contributor,
    demo::curl,
    restart::{kubeconfig, repository_with},
    support::{Program, eventually, find_files, kubectl, unescape_html},
};

/// What each job does; the words come from a `ConfigMap`, so that no `ProwJob` has them.
const SCRIPT: &str = r#"
cat /shapes/log
printf '%s\n' "$CANARY $from"
cat /canary/volume /canary/lines
# A secret in two writes, with a while between them.
head -c 24 /shapes/split; sleep 1; tail -c +25 /shapes/split
cp /shapes/text "$ARTIFACTS/plain.txt"
for file in packed.tgz packed.zip packed.txt.gz nested.tgz metadata.json; do
	cp "/shapes/$file" "$ARTIFACTS/$file"
done
cp /shapes/text "$ARTIFACTS/harmless-name-$CANARY.txt"
case $JOB_NAME in
*-tests) cp /shapes/junit.xml "$ARTIFACTS/junit.xml" ;;
esac
cat /shapes/termination > /dev/termination-log
cat /shapes/digest
# Long enough for somebody to watch it.
sleep 8
exit 1
"#;

pub(super) struct CanaryScene {
    demo: Program,
    contributor: Contributor,
    kubeconfig: PathBuf,
    slack: SlackChannel,
    data: PathBuf,
    deck: String,
    _folder: TempDir,
}

/// A job's run that has ended, and every sink that got something of it.
pub(super) struct PrintedRun {
    pub(super) job: String,
    sinks: Vec<(String, String)>,
}

impl CanaryScene {
    /// Starts a demo, with check runs and Slack, and requests its jobs once their secrets exist.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jobs = [
            presubmit(
                "masked-tests",
                &json!({"grace_period": "5s", "censor_secrets": true}),
            ),
            presubmit(
                "masked-words",
                &json!({"grace_period": "5s", "censor_secrets": true}),
            ),
            presubmit("plain-tests", &json!({"grace_period": "5s"})),
            presubmit(
                "plain-words",
                &json!({"grace_period": "5s", "censor_secrets": false}),
            ),
            json!({"name": "first", "always_run": true,
                "spec": {"containers": [{"image": "img", "command": ["true"]}]}}),
        ];
        let jobs = json!({"presubmits": jobs}).to_string();
        let repo = repository_with(folder.path(), &jobs);
        let data = folder.path().join("data");
        let [data_, repo_] = [&data, &repo].map(|path| path.to_str().unwrap());
        let mut demo = Program::start(&["demo", "--data", data_, "--repo", repo_]);
        let kubeconfig = kubeconfig(&mut demo);
        let deck = demo.word_after("  Deck  ", MINUTE);
        configure(&data);
        let slack = SlackChannel::start(&kubeconfig, folder.path());
        let objects = folder.path().join("objects.json");
        fs::write(&objects, secrets_and_words().to_string()).unwrap();
        kubectl(&kubeconfig, &["create", "-f", objects.to_str().unwrap()]);
        let contributor = Contributor::introduced_by(&mut demo, MINUTE);
        for job in ["masked-tests", "masked-words", "plain-tests", "plain-words"] {
            contributor.write_comment(&format!("/test {job}"));
        }
        Self {
            demo,
            contributor,
            kubeconfig,
            slack,
            data,
            deck,
            _folder: folder,
        }
    }

    /// Reads a run's live events, and its log, for as long as it runs.
    pub(super) fn follow(&self, job: &str) -> LiveLog {
        let url = eventually("the run", MINUTE, || {
            let url = self.prowjob(job)["status"]["url"].as_str()?.to_owned();
            Some(url)
        });
        let build_id = url.rsplit('/').next().unwrap();
        let query = format!("job={job}&id={build_id}");
        let events = Stream::open(&format!("{}/log/events?{query}", self.deck));
        let log = format!("{}/log?{query}", self.deck);
        let last = shapes::harmless("log").pop().unwrap();
        eventually("the log while the job runs", MINUTE, || {
            curl(&[&log]).0.contains(&last).then_some(())
        });
        assert!(
            self.prowjob(job)["status"]["completionTime"].is_null(),
            "{job} has ended"
        );
        LiveLog {
            texts: vec![curl(&[&log]).0, curl(&["--location", &url]).0],
            events: Some(events),
        }
    }

    /// These jobs' runs, once they have ended and everything is reported.
    pub(super) fn end_all(&self, jobs: &[&str]) -> Vec<PrintedRun> {
        let ended = |name: &&str| {
            eventually(name, 2 * MINUTE, || {
                let job = self.prowjob(name);
                let told = &job["status"]["prev_report_states"];
                let all = [
                    "gcsk8sreporter",
                    "github-reporter",
                    "github-check-reporter",
                    slack::REPORTER,
                ];
                let is_told = all.iter().all(|it| told[it] == job["status"]["state"]);
                (job["status"]["completionTime"].is_string() && is_told).then_some(job)
            })
        };
        let ended: Vec<Value> = jobs.iter().map(ended).collect();
        ended.iter().map(|job| self.look_at(job)).collect()
    }

    fn look_at(&self, job: &Value) -> PrintedRun {
        let name = job["spec"]["job"].as_str().unwrap();
        let sha = job["spec"]["refs"]["pulls"][0]["sha"].as_str().unwrap();
        let build_id = job["status"]["build_id"].as_str().unwrap();
        let url = job["status"]["url"].as_str().unwrap();
        let mut run = PrintedRun {
            job: name.to_owned(),
            sinks: Vec::new(),
        };
        run.push("the ProwJob", job.to_string());
        let comments = self.contributor.get_comments();
        let mut bodies = comments.as_array().unwrap().iter();
        let told = bodies.find_map(|comment| section(comment["body"].as_str()?, name));
        run.push("the comment", told.unwrap_or_default().to_owned());
        let statuses = self.contributor.get_of_commit(sha, "statuses");
        run.push("the commit status", of_job(&statuses, "context", name));
        let checks = self.contributor.get_of_commit(sha, "check-runs");
        run.push("the check run", of_job(&checks["check_runs"], "name", name));
        run.push("Slack", self.slack.read(name));
        let query = format!("job={name}&id={build_id}");
        let object = job["metadata"]["name"].as_str().unwrap();
        for (sink, url) in [
            ("/log", format!("{}/log?{query}", self.deck)),
            ("/log/events", format!("{}/log/events?{query}", self.deck)),
            (
                "/prowjob",
                format!("{}/prowjob?prowjob={object}", self.deck),
            ),
            ("/prowjobs.js", format!("{}/prowjobs.js", self.deck)),
            ("the list", self.deck.clone()),
            ("the run's page", url.to_owned()),
        ] {
            let (text, code) = curl(&["--location", &url]);
            assert_eq!(code, "200", "{sink} of {name}: {text}");
            run.push(sink, text);
        }
        let path = url.split_once("/view/").unwrap().1;
        let folder = self.data.join(path);
        for file in find_files(&folder) {
            let key = file.strip_prefix(&folder).unwrap().to_str().unwrap();
            let bytes = shapes::unpack(fs::read(&file).unwrap());
            run.push(key, String::from_utf8_lossy(&bytes).into_owned());
            run.push(&format!("name of {key}"), key.to_owned());
            let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
            let encoded = encoded.replace("%2F", "/").replace('+', "%20");
            let address = format!("{}/artifact/{path}/{encoded}", self.deck);
            let served = curl(&["--output", "-", &address]).0;
            run.push(&format!("/artifact of {key}"), served);
        }
        run
    }

    /// Ends the demo. Returns what its services have printed and logged.
    pub(super) fn end(mut self) -> Vec<(&'static str, String)> {
        self.demo.interrupt();
        let log = fs::read_to_string(self.data.join("log.jsonl")).unwrap();
        vec![
            ("the terminal", self.demo.printed()),
            ("the services' log", log),
        ]
    }

    fn prowjob(&self, job: &str) -> Value {
        let label = format!("prow.k8s.io/job={job}");
        let words = ["get", "prowjobs", "-o", "json", "--selector", &label];
        let list: Value = serde_json::from_str(&kubectl(&self.kubeconfig, &words)).unwrap();
        list["items"][0].clone()
    }
}

impl PrintedRun {
    /// Adds a sink's text, both as it is and as people read it.
    fn push(&mut self, sink: &str, text: String) {
        let read = unescape_html(&text);
        let strings = serde_json::from_str(&text).map_or(String::new(), |json| strings_of(&json));
        let all = [text, read, strings].join("\n");
        self.sinks.push((sink.to_owned(), all));
    }

    pub(super) fn all_sinks(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.sinks.iter();
        all.map(|(sink, text)| (sink.as_str(), text.as_str()))
    }

    pub(super) fn sink(&self, name: &str) -> &str {
        let mut all = self.all_sinks();
        let found = all.find(|(sink, _)| *sink == name);
        found
            .unwrap_or_else(|| panic!("{} has no {name}", self.job))
            .1
    }

    pub(super) fn assert_shown<S: AsRef<str>>(&self, sink: &str, words: &[S]) {
        let text = self.sink(sink);
        for word in words {
            let word = word.as_ref();
            let job = &self.job;
            assert!(text.contains(word), "{job}: {sink} lacks {word}: {text}");
        }
    }

    pub(super) fn assert_censored(&self, censored: bool) {
        let text = self.sink("finished.json");
        let mut all = serde_json::Deserializer::from_str(text).into_iter();
        let finished: Value = all.next().unwrap().unwrap();
        let found = &finished["metadata"]["censored"];
        assert_eq!(*found, censored, "{}: {finished:#}", self.job);
    }
}

/// What was seen of a run while it ran.
pub(super) struct LiveLog {
    texts: Vec<String>,
    events: Option<Stream>,
}

impl LiveLog {
    pub(super) fn assert_was_shown_while_it_ran(&mut self) {
        let events = self.events.take().unwrap().read();
        self.texts.push(events);
        for text in &self.texts {
            let text = unescape_html(text);
            let found = shapes::find_canaries(&text);
            assert!(found.is_empty(), "{found:?} is in {text}");
            assert!(text.contains("harmless-log-volume"), "{text}");
        }
    }
}

/// An answer that ends when its sender ends it.
struct Stream {
    curl: Child,
    text: JoinHandle<Vec<u8>>,
}

impl Stream {
    fn open(url: &str) -> Self {
        let mut curl = Command::new("curl")
            .args(["--silent", "--no-buffer", "--max-time", "120", url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = curl.stdout.take().unwrap();
        let text = thread::spawn(move || {
            let mut all = Vec::new();
            output.read_to_end(&mut all).unwrap();
            all
        });
        Self { curl, text }
    }

    fn read(mut self) -> String {
        // The page closes the stream when the run has ended, and so does this.
        self.curl.kill().unwrap();
        self.curl.wait().unwrap();
        String::from_utf8_lossy(&self.text.join().unwrap()).into_owned()
    }
}

fn presubmit(name: &str, decoration: &Value) -> Value {
    json!({
        "name": name, "always_run": false, "decorate": true,
        "decoration_config": decoration,
        "spec": {
            "containers": [{
                "name": "test", "image": "img", "command": ["sh", "/shapes/script"],
                "env": [{"name": "CANARY", "valueFrom":
                    {"secretKeyRef": {"name": "canary-env", "key": "value"}}}],
                "envFrom": [{"secretRef": {"name": "canary-env-from"}}],
                "volumeMounts": [
                    {"name": "canary", "mountPath": "/canary"},
                    {"name": "shapes", "mountPath": "/shapes"},
                ],
            }],
            "volumes": [
                {"name": "canary", "secret": {"secretName": "canary-volume"}},
                {"name": "shapes", "configMap": {"name": "shapes"}},
            ],
        },
    })
}

fn secrets_and_words() -> Value {
    let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    let text = shapes::text("artifact");
    let packed = shapes::gzip(&shapes::tar(
        &format!("{}.txt", shapes::IN_ENV.value),
        text.as_bytes(),
    ));
    let all = |before: &str| -> String {
        let line = |canary: &&shapes::Canary| format!("{before} {}\n", canary.value);
        shapes::ALL.iter().map(line).collect()
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        secret("canary-volume", json!({
            "volume": shapes::IN_VOLUME.value, "lines": shapes::OF_LINES.value,
        })),
        secret("canary-env", json!({"value": shapes::IN_ENV.value})),
        secret("canary-env-from", json!({"from": shapes::IN_ENV_FROM.value})),
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shapes"},
            "data": {
                "script": SCRIPT,
                "log": shapes::text("log"),
                "split": format!("harmless-split {} after-split\n", shapes::IN_ENV.value),
                "text": text,
                "metadata.json": shapes::metadata(),
                "junit.xml": shapes::junit(),
                "termination": all("harmless-termination"),
                "digest": all("error: harmless-digest"),
            },
            "binaryData": {
                "packed.tgz": STANDARD.encode(&packed),
                "packed.zip": STANDARD.encode(shapes::zip("text.txt", text.as_bytes())),
                "packed.txt.gz": STANDARD.encode(shapes::gzip(text.as_bytes())),
                "nested.tgz": STANDARD.encode(shapes::gzip(&shapes::tar("packed.tgz", &packed))),
            },
        },
    ]})
}

/// Turns on check runs, and leaves `censor_secrets` to each job. Changes the file, as an operator
/// does; it is read again.
fn configure(data: &Path) {
    let file = data.join("config/config.yaml");
    let config = fs::read_to_string(&file).unwrap();
    let (before, after) = config.split_once("      censor_secrets: true\n").unwrap();
    fs::write(
        file,
        format!("{before}{after}\ngithub_reporter:\n  checks: true\n"),
    )
    .unwrap();
    thread::sleep(Duration::from_secs(1));
}

/// What crier's comment says about one job.
fn section<'a>(body: &'a str, job: &str) -> Option<&'a str> {
    let rest = body
        .split_once(&format!("<!-- failure digest of {job} -->"))?
        .1;
    Some(rest.split_once("<!-- end of").unwrap().0)
}

/// The entries of a list that are about this job.
fn of_job(list: &Value, field: &str, job: &str) -> String {
    let all = list.as_array().unwrap().iter();
    let of_job: Vec<&Value> = all.filter(|entry| entry[field] == job).collect();
    assert!(!of_job.is_empty(), "nothing of {job} in {list}");
    json!(of_job).to_string()
}

/// All strings of a value, keys included, one per line.
fn strings_of(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(all) => all.iter().map(strings_of).collect(),
        Value::Object(all) => all
            .iter()
            .map(|(key, value)| format!("{key}\n{}", strings_of(value)))
            .collect(),
        _ => String::new(),
    }
}
