//! The reporter of jobs on Slack: `slack_reporter_configs`, and `reporter_config.slack` of a job.

mod client;
mod reporter_config;

use std::{sync::Arc, time::Duration};

use common::{
    prowjob::{ProwJob, SlackReporterConfig},
    template::GoTemplate,
};
use futures::future::BoxFuture;
use kube::ResourceExt;

use super::{
    CrierContext, quote,
    reporter::{ReportError, ReportResult, Reporter, SendLimiter},
    state_change::JobStateChange,
};

pub(super) use client::{DEFAULT_HOST, SlackError};
pub use client::{SLACK_API, SlackClient};
use reporter_config::{effective_config, is_reported};

/// The time limit of one message.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct SlackJobReporter {
    ctx: Arc<CrierContext>,
    workers: SendLimiter,
}

impl SlackJobReporter {
    pub(super) fn new(ctx: &Arc<CrierContext>) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.new_limiter(ctx.settings.slack_workers, MESSAGE_TIMEOUT),
        }
    }

    async fn send_message(&self, news: &JobStateChange) -> Result<(), ReportError> {
        let target = effective_config(&self.ctx.config.borrow(), &news.job.spec);
        let Some(job) = news.read_full_job().await? else {
            return Ok(());
        };
        let text = match render_message(&target, &job) {
            Ok(text) => text,
            Err(error) => {
                log_giving_up(&news.job, &target, &format!("report_template: {error}"));
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
            .post_message(&target.host, &target.channel, &text)
            .await
        {
            Err(error) if error.is_permanent() => {
                log_giving_up(&news.job, &target, &error.to_string());
                Ok(())
            }
            done => Ok(done?),
        }
    }
}

fn log_giving_up(job: &ProwJob, target: &SlackReporterConfig, why: &str) {
    tracing::error!(
        prowjob = job.name_any(),
        job = job.spec.job,
        state = job.state().as_str(),
        host = target.host,
        channel = target.channel,
        "giving up on a Slack message: {why}"
    );
}

impl Reporter for SlackJobReporter {
    fn reporter_name(&self) -> &'static str {
        "slackreporter"
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        is_reported(&self.ctx.config.borrow(), job)
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(async move {
            self.workers.run_limited(self.send_message(news)).await?;
            Ok(ReportResult::Done)
        })
    }
}

fn render_message(
    target: &SlackReporterConfig,
    job: &ProwJob,
) -> Result<String, common::template::GoTemplateError> {
    GoTemplate::parse_template(&target.report_template)?.render_job_as(job, quote::for_slack)
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
            let target = effective_config(&config, &job.spec);
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
            assert!(is_reported(&config, &job), "its states are its own");
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
            assert_eq!(is_reported(&config(), &job), expected, "{name}");
        }
        let mut other = job(None, Failure, json!({"channel": "own"}));
        other.spec.job_type = ProwJobType::Batch;
        assert!(is_reported(&config(), &other), "a channel of its own");
        other.spec.reporter_config = None;
        assert!(!is_reported(&config(), &other), "a type that is not listed");
        assert!(
            !is_reported(&Config::default(), &other),
            "nothing is configured"
        );
    }

    #[test]
    fn a_job_fills_what_it_leaves_open_from_the_installation() {
        let of = |job: &ProwJob| {
            let target = effective_config(&config(), &job.spec);
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
        let target = effective_config(&config(), &job.spec);
        assert_eq!(
            render_message(&target, &job).unwrap(),
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
            render_message(&target, &job).unwrap(),
            "&lt;!channel&gt; look &amp; see"
        );
    }
}
