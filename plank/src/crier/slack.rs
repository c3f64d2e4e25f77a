//! The reporter of jobs on Slack: `slack_reporter_configs`, and `reporter_config.slack` of a job.

mod client;
mod target;

use std::{sync::Arc, time::Duration};

use common::{
    prowjob::{ProwJob, SlackReporterConfig},
    template::Template,
};
use futures::future::BoxFuture;
use kube::ResourceExt;

use super::{
    Context,
    news::News,
    quote,
    reporter::{Error as ReportError, Reporter, Told, Workers},
};

pub(super) use client::{DEFAULT_HOST, Error};
pub use client::{SLACK_API, Slack};
use target::{is_told, target};

/// Bound on one message.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct SlackReporter {
    ctx: Arc<Context>,
    workers: Workers,
}

impl SlackReporter {
    pub(super) fn new(ctx: &Arc<Context>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.workers(ctx.settings.slack_workers, PATIENCE),
        }
    }

    async fn tell(&self, news: &News) -> Result<(), ReportError> {
        let target = target(&self.ctx.config.borrow(), &news.job.spec);
        let Some(job) = news.whole().await? else {
            return Ok(());
        };
        let text = match text(&target, &job) {
            Ok(text) => text,
            Err(error) => {
                give_up(&news.job, &target, &format!("report_template: {error}"));
                return Ok(());
            }
        };
        tracing::info!(
            prowjob = news.job.name_any(),
            job = news.job.spec.job,
            state = news.job.state().as_str(),
            host = target.host,
            channel = target.channel,
            "writing to Slack"
        );
        match self
            .ctx
            .slack
            .post(&target.host, &target.channel, &text)
            .await
        {
            Err(error) if error.is_permanent() => {
                give_up(&news.job, &target, &error.to_string());
                Ok(())
            }
            done => Ok(done?),
        }
    }
}

fn give_up(job: &ProwJob, target: &SlackReporterConfig, why: &str) {
    tracing::error!(
        prowjob = job.name_any(),
        job = job.spec.job,
        state = job.state().as_str(),
        host = target.host,
        channel = target.channel,
        "giving up on a Slack message: {why}"
    );
}

impl Reporter for SlackReporter {
    fn name(&self) -> &'static str {
        "slackreporter"
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        is_told(&self.ctx.config.borrow(), job)
    }

    fn report<'a>(&'a self, news: &'a Arc<News>) -> BoxFuture<'a, Result<Told, ReportError>> {
        Box::pin(async move {
            self.workers.run(self.tell(news)).await?;
            Ok(Told::Done)
        })
    }
}

fn text(target: &SlackReporterConfig, job: &ProwJob) -> Result<String, common::template::Error> {
    Template::parse(&target.report_template)?.render_job_as(job, quote::for_slack)
}

#[cfg(test)]
mod tests {
    use common::{
        config::{Config, JobBase, Presubmit},
        prowjob::{ProwJobState, ProwJobStatus, ProwJobType, Pull, Refs, ReporterConfig},
    };
    use serde_json::{Value, json};

    use super::*;

    fn config() -> Config {
        let prow = serde_json::from_value(json!({"slack_reporter_configs": {
            "*": {"channel": "all", "job_types_to_report": ["periodic"],
                "job_states_to_report": ["failure", "error"]},
            "o": {"channel": "org", "host": "other", "job_types_to_report": ["presubmit"],
                "job_states_to_report": ["failure"]},
            "o/silent": {"channel": "org", "job_types_to_report": ["presubmit"],
                "job_states_to_report": ["failure"], "report": false},
            "o/free": {"channel": "org", "job_types_to_report": ["presubmit"],
                "job_states_to_report": ["failure"], "allow_in_repo_jobs": true},
        }}));
        Config {
            prow: prow.unwrap(),
            ..Config::default()
        }
    }

    #[test]
    fn a_job_of_a_repository_chooses_no_channel_and_no_words() {
        let mut config = config();
        let enabled = &mut config.prow.in_repo_config.enabled;
        enabled.insert("o".into(), true);
        let own = json!({"channel": "mine", "host": "h", "report_template": "<!channel>",
            "job_states_to_report": ["error"]});
        let central = |slack: &Value| {
            let mut base = JobBase {
                name: "unit".into(),
                ..JobBase::default()
            };
            base.reporter_config = Some(ReporterConfig {
                slack: serde_json::from_value(slack.clone()).unwrap(),
            });
            Arc::new(Presubmit {
                base,
                ..Presubmit::default()
            })
        };
        let jobs = &mut config.jobs.presubmits;
        jobs.insert("o/central".into(), vec![central(&own)]);
        jobs.insert("o/other".into(), vec![central(&json!({"channel": "ci"}))]);
        for (repo, chooses) in [
            (Some("r"), false),
            (Some("central"), true),
            (Some("other"), false),
            (Some("free"), true),
            (None, true),
        ] {
            let job = job(repo, ProwJobState::Error, own.clone());
            let target = target(&config, &job.spec);
            let words = [&target.channel, &target.host, &target.report_template];
            assert_eq!(
                words.map(String::as_str) == ["mine", "h", "<!channel>"],
                chooses,
                "{repo:?}"
            );
            assert!(
                chooses
                    || !words
                        .iter()
                        .any(|word| ["mine", "h", "<!channel>"].contains(&word.as_str()))
            );
            assert!(is_told(&config, &job), "its states are its own");
        }
    }

    fn job(repo: Option<&str>, state: ProwJobState, own: Value) -> ProwJob {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.job = "unit".into();
        job.spec.job_type = match repo {
            Some(_) => ProwJobType::Presubmit,
            None => ProwJobType::Periodic,
        };
        job.spec.refs = repo.map(|repo| Refs {
            org: "o".into(),
            repo: repo.into(),
            ..Refs::default()
        });
        job.spec.reporter_config = (!own.is_null()).then(|| ReporterConfig {
            slack: Some(serde_json::from_value(own).unwrap()),
        });
        job.status = Some(ProwJobStatus {
            state,
            url: "http://deck/?a=1&b=2".into(),
            ..ProwJobStatus::default()
        });
        job
    }

    #[test]
    fn slack_hears_of_what_is_configured() {
        use ProwJobState::{Error, Failure, Success};
        for (name, job, expected) in [
            (
                "a listed type and state",
                job(None, Failure, json!(null)),
                true,
            ),
            ("another state", job(None, Success, json!(null)), false),
            (
                "the organisation's states",
                job(Some("r"), Error, json!(null)),
                false,
            ),
            (
                "the organisation's types",
                job(Some("r"), Failure, json!(null)),
                true,
            ),
            (
                "report: false",
                job(Some("silent"), Failure, json!(null)),
                false,
            ),
            (
                "a job that overrides it",
                job(Some("silent"), Failure, json!({"report": true})),
                true,
            ),
            (
                "a job's own states",
                job(None, Success, json!({"job_states_to_report": ["success"]})),
                true,
            ),
            (
                "a job that wants nothing",
                job(None, Failure, json!({"job_states_to_report": []})),
                false,
            ),
        ] {
            assert_eq!(is_told(&config(), &job), expected, "{name}");
        }
        let mut other = job(None, Failure, json!({"channel": "own"}));
        other.spec.job_type = ProwJobType::Batch;
        assert!(is_told(&config(), &other), "a channel of its own");
        other.spec.reporter_config = None;
        assert!(!is_told(&config(), &other), "a type that is not listed");
        assert!(
            !is_told(&Config::default(), &other),
            "nothing is configured"
        );
    }

    #[test]
    fn a_job_fills_what_it_leaves_open_from_the_installation() {
        let of = |job: &ProwJob| {
            let target = target(&config(), &job.spec);
            (target.host, target.channel)
        };
        let failure = ProwJobState::Failure;
        let pair = |host: &str, channel: &str| (host.to_owned(), channel.to_owned());
        assert_eq!(of(&job(None, failure, json!(null))), pair("*", "all"));
        assert_eq!(
            of(&job(Some("r"), failure, json!(null))),
            pair("other", "org")
        );
        let own = json!({"channel": "mine"});
        assert_eq!(of(&job(Some("r"), failure, own)), pair("other", "mine"));
    }

    #[test]
    fn what_is_written_notifies_nobody() {
        let mut job = job(Some("r"), ProwJobState::Failure, json!(null));
        let target = target(&config(), &job.spec);
        assert_eq!(
            text(&target, &job).unwrap(),
            "Job unit of type presubmit ended with state failure. <http://deck/?a=1&b=2|View logs>"
        );
        let title = "<!channel> look & see".into();
        job.spec.refs.as_mut().unwrap().pulls = vec![Pull {
            title,
            ..Pull::default()
        }];
        let template = "{{range .Spec.Refs.Pulls}}{{.Title}}{{end}}";
        let target = SlackReporterConfig {
            report_template: template.into(),
            ..target
        };
        assert_eq!(
            text(&target, &job).unwrap(),
            "&lt;!channel&gt; look &amp; see"
        );
    }
}
