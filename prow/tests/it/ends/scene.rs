//! A demo whose repository has the jobs of a test, and what its users see of each run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::MINUTE;
use crate::{
    contributor::Contributor,
    demo::curl,
    restart::{kubeconfig, repository_with},
    support::{Program, eventually, find_files, kubectl, unescape_html},
};

pub(super) struct EndsScene {
    demo: Program,
    kubeconfig: PathBuf,
    data: PathBuf,
    _folder: TempDir,
}

/// A job's run that has ended, and what is reported about it.
pub(super) struct EndedRun {
    /// The `ProwJob`.
    pub(super) job: Value,
    podinfo: Value,
    folder: PathBuf,
    page: String,
    statuses: Value,
    comments: Value,
}

impl EndsScene {
    /// Starts a demo on a repository with this `prow-jobs.yaml`.
    pub(super) fn start(jobs: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = repository_with(folder.path(), &jobs.to_string());
        let data = folder.path().join("data");
        let [data_, repo_] = [&data, &repo].map(|path| path.to_str().unwrap());
        let mut demo = Program::start(&["demo", "--data", data_, "--repo", repo_]);
        let kubeconfig = kubeconfig(&mut demo);
        Self {
            demo,
            kubeconfig,
            data,
            _folder: folder,
        }
    }

    /// Sends SIGKILL to the program of a job's container, once all containers of its pod run and
    /// Deck shows what the job has printed.
    pub(super) fn kill(&self, job: &str, container: &str) {
        let process = eventually("the container's process", MINUTE, || {
            let pod = self.pod(job)?;
            let mut statuses = pod["status"]["containerStatuses"].as_array()?.iter();
            let runs = statuses.all(|status| status["state"]["running"].is_object());
            let uid = pod["metadata"]["uid"].as_str().filter(|_| runs)?;
            program_of(&self.data, uid, container)
        });
        let url = self.prowjob(job)["status"]["url"].clone();
        let (deck, run) = url.as_str().unwrap().split_once("/view/").unwrap();
        let build_id = run.rsplit('/').next().unwrap();
        let log = format!("{deck}/log?job={job}&id={build_id}");
        eventually("its log", MINUTE, || {
            curl(&[&log]).0.contains("printed").then_some(())
        });
        let kill = Command::new("kill")
            .args(["-9", &process.to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// The runs of these jobs, once they have ended and are reported.
    pub(super) fn runs(&mut self, jobs: &[&str], patience: Duration) -> Vec<EndedRun> {
        let contributor = Contributor::introduced_by(&mut self.demo, patience);
        let by_name = |name: &&str| {
            let job = self.prowjob(name);
            let told = &job["status"]["prev_report_states"];
            let all = ["gcsk8sreporter", "github-reporter"];
            let is_told = all.iter().all(|it| told[it] == job["status"]["state"]);
            (job["status"]["completionTime"].is_string() && is_told).then_some(job)
        };
        let ended: Vec<Value> = jobs
            .iter()
            .map(|name| eventually(name, patience, || by_name(name)))
            .collect();
        let comments = contributor.get_comments();
        let runs = ended.into_iter().map(|job| {
            let sha = job["spec"]["refs"]["pulls"][0]["sha"].as_str().unwrap();
            let statuses = contributor.get_of_commit(sha, "statuses");
            self.run(job, statuses, comments.clone())
        });
        runs.collect()
    }

    fn run(&self, job: Value, statuses: Value, comments: Value) -> EndedRun {
        let url = job["status"]["url"].as_str().unwrap();
        let (page, code) = curl(&["--location", url]);
        assert_eq!(code, "200", "{page}");
        let folder = self.data.join(url.split_once("/view/").unwrap().1);
        let podinfo = fs::read_to_string(folder.join("podinfo.json")).unwrap();
        EndedRun {
            podinfo: serde_json::from_str(&podinfo).unwrap(),
            folder,
            page: unescape_html(&page),
            statuses,
            comments,
            job,
        }
    }

    /// Ends the demo, so that none of its containers is left.
    pub(super) fn end(mut self) {
        self.demo.interrupt();
    }

    fn pod(&self, job: &str) -> Option<Value> {
        let label = format!("prow.k8s.io/job={job}");
        self.get(&["pods", "--selector", &label])
    }

    fn prowjob(&self, job: &str) -> Value {
        let label = format!("prow.k8s.io/job={job}");
        self.get(&["prowjobs", "--selector", &label])
            .unwrap_or_default()
    }

    /// The only object that kubectl finds.
    fn get(&self, what: &[&str]) -> Option<Value> {
        let text = kubectl(&self.kubeconfig, &[&["get", "-o", "json"], what].concat());
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array()?.first().cloned()
    }
}

impl EndedRun {
    pub(super) fn state(&self) -> &str {
        self.job["status"]["state"].as_str().unwrap()
    }

    pub(super) fn description(&self) -> &str {
        self.job["status"]["description"].as_str().unwrap()
    }

    /// The text of Deck's page.
    pub(super) fn page(&self) -> &str {
        &self.page
    }

    /// State and description of the commit status, without the base's commit.
    pub(super) fn status(&self) -> (&str, &str) {
        let job = &self.job["spec"]["job"];
        let mut all = self.statuses.as_array().unwrap().iter();
        let status = all.find(|status| status["context"] == *job).unwrap();
        let text = |field: &str| status[field].as_str().unwrap();
        let (told, _) = text("description").split_once(" BaseSHA:").unwrap();
        (text("state"), told.trim_end_matches('\u{2001}'))
    }

    /// The part of the pull request's comment that is about this run.
    pub(super) fn comment(&self) -> String {
        let name = self.job["spec"]["job"].as_str().unwrap();
        let mut all = self.comments.as_array().unwrap().iter();
        let section = all.find_map(|comment| section(comment["body"].as_str()?, name));
        unescape_html(section.unwrap_or_default())
    }

    pub(super) fn start(&self) -> Timestamp {
        time(&self.job["status"]["startTime"])
    }

    pub(super) fn completion(&self) -> Timestamp {
        time(&self.job["status"]["completionTime"])
    }

    /// When a container of its pod ended.
    pub(super) fn end_of(&self, container: &str) -> Timestamp {
        let statuses = &self.podinfo["pod"]["status"]["containerStatuses"];
        let mut all = statuses.as_array().unwrap().iter();
        let status = all.find(|status| status["name"] == container).unwrap();
        time(&status["state"]["terminated"]["finishedAt"])
    }

    /// What crier stored about its pod in addition to the pod: the events' reasons and the node.
    pub(super) fn surroundings(&self) -> (Vec<&str>, Option<&str>) {
        let events = self.podinfo["events"].as_array().unwrap().iter();
        let reasons = events.filter_map(|event| event["reason"].as_str());
        let node = self.podinfo["node"]["metadata"]["name"].as_str();
        (reasons.collect(), node)
    }

    /// A file of its folder in storage.
    pub(super) fn stored(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    text.parse().unwrap()
}

/// What crier's comment says about one job.
fn section<'a>(body: &'a str, job: &str) -> Option<&'a str> {
    let begin = format!("<!-- failure digest of {job} -->");
    let rest = body.split_once(&begin)?.1;
    Some(rest.split_once("<!-- end of").unwrap().0)
}

/// The process of a container's program. The pod runner's record names a process above it.
fn program_of(data: &Path, pod: &str, container: &str) -> Option<u32> {
    let file = format!("{container}/process.json");
    let mut all = find_files(data).into_iter();
    let record = all.find(|path| path.ends_with(&file) && path.to_string_lossy().contains(pod))?;
    let record: Value = serde_json::from_str(&fs::read_to_string(record).ok()?).ok()?;
    let first = u32::try_from(record["pid"].as_u64()?).ok()?;
    // The last one of the chain is the program itself.
    std::iter::successors(Some(first), |process| child_of(*process)).last()
}

fn child_of(process: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
