//! A changed configuration file reaches every service of a running installation.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    demo::{MINUTE, curl, kubeconfig},
    support::{Program, eventually, kubectl},
};

/// The services promise two seconds; a machine that builds and tests at once is given more.
const SOON: Duration = Duration::from_secs(10);

const BANNER: &str = "The configuration could not be loaded";

/// A job that the central configuration adds to the sample repository.
const ADDED: &str = "
presubmits:
  your-org/your-repo:
  - name: added
    spec: {containers: [{image: x, command: [\"true\"]}]}
";

struct Installation {
    demo: Program,
    kubeconfig: PathBuf,
    deck: String,
    file: PathBuf,
    config: String,
}

impl Installation {
    fn start(data: &Path) -> Self {
        let mut demo = Program::start(&["demo", "--data", data.to_str().unwrap()]);
        let kubeconfig = kubeconfig(&mut demo);
        let deck = demo.word_after("  Deck  ", MINUTE);
        demo.line_with("Still serving", MINUTE);
        let file = data.join("config/config.yaml");
        Self {
            demo,
            kubeconfig,
            deck,
            config: fs::read_to_string(&file).unwrap(),
            file,
        }
    }

    /// Restores `config.yaml` as it was at the start, with one change and one addition.
    fn configure(&self, from: &str, to: &str, added: &str) {
        let config = self.config.replace(from, to) + added;
        fs::write(&self.file, config).unwrap();
    }

    fn says(&mut self, body: &str) {
        let comments = self.demo.line_with("/comments", MINUTE);
        let token = self.demo.line_with("Authorization: Bearer", MINUTE);
        let token = token.split('\'').nth(1).unwrap();
        let url = comments.split_whitespace().last().unwrap();
        let body = format!("{{\"body\":\"{body}\"}}");
        let (answer, code) = curl(&["-H", token, "-d", &body, url]);
        assert_eq!(code, "201", "{answer}");
    }

    /// The values at a JSON path, for each run of a job.
    fn of_runs(&self, job: &str, path: &str) -> Vec<String> {
        let label = format!("prow.k8s.io/job={job}");
        let output = format!("jsonpath={{range .items[*]}}{{{path}}}{{\"\\n\"}}{{end}}");
        let text = kubectl(
            &self.kubeconfig,
            &["get", "prowjobs", "-l", &label, "-o", &output],
        );
        text.lines().map(str::to_owned).collect()
    }

    fn page(&self) -> String {
        curl(&[&self.deck]).0
    }
}

#[test]
fn hook_plank_deck_and_sinker_follow_the_file() {
    let data = tempfile::tempdir().unwrap();
    let mut prow = Installation::start(data.path());

    prow.configure("prowjob_namespace: default", "prowjob_namespace: [7]", "");
    let page = eventually("Deck tells what is wrong", SOON, || {
        Some(prow.page()).filter(|page| page.contains(BANNER))
    });
    assert!(page.contains("config.yaml:1:"), "{page}");

    // The last good configuration stays in force until the file is fixed; then all changes are.
    let elsewhere = "job_url_template: http://elsewhere.example/{{.Spec.Job}}";
    let (template, _) = prow
        .config
        .split_once("job_url_template: ")
        .map(|(_, rest)| rest.split_once('\n').unwrap())
        .unwrap();
    let template = format!("job_url_template: {template}");
    prow.configure(&template, elsewhere, ADDED);
    eventually("Deck has nothing to tell", SOON, || {
        (!prow.page().contains(BANNER)).then_some(())
    });
    prow.says("/test added");
    let urls = eventually("hook starts the new job, plank runs it", MINUTE, || {
        let urls = prow.of_runs("added", ".status.url");
        urls.iter().any(|url| !url.is_empty()).then_some(urls)
    });
    assert_eq!(urls, ["http://elsewhere.example/added"]);
    eventually("the new job ends", MINUTE, || {
        (prow.of_runs("added", ".status.state") == ["success"]).then_some(())
    });

    prow.configure(
        &template,
        &template,
        &format!("{ADDED}\nsinker: {{max_prowjob_age: 1s}}\n"),
    );
    eventually("sinker deletes what is now old", SOON, || {
        prow.of_runs("added", ".metadata.name")
            .is_empty()
            .then_some(())
    });
}
