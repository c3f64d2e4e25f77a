//! The flags of `prow mkpj`, as upstream's mkpj spells them.

use common::{
    config, github, kube,
    prowjob::{Pull, Refs},
    service::flags,
};

/// Prints the `ProwJob` of a configured job as YAML, for `kubectl create -f -`.
///
/// A presubmit needs a pull request and a base branch, a postsubmit a base branch. What is not
/// given is asked of GitHub, or typed in.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "prow mkpj", max_term_width = 100)]
pub(super) struct MkpjOptions {
    /// Job to run
    #[arg(long)]
    pub(super) job: String,
    /// Git base ref under test
    #[arg(long, default_value = "", hide_default_value = true)]
    base_ref: String,
    /// Git base SHA under test
    #[arg(long, default_value = "", hide_default_value = true)]
    base_sha: String,
    /// Git pull number under test
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pull_number: u64,
    /// Git pull SHA under test
    #[arg(long, default_value = "", hide_default_value = true)]
    pull_sha: String,
    /// Git pull author under test
    #[arg(long, default_value = "", hide_default_value = true)]
    pull_author: String,
    /// Git branch name of the proposed change
    #[arg(long, default_value = "", hide_default_value = true)]
    pull_head_ref: String,
    /// Create the job in Prow's cluster and wait for its result
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        value_name = "BOOL"
    )]
    pub(super) trigger_job: bool,
    /// End with 1 if the triggered job fails
    #[arg(
        long,
        value_parser = flags::parse_bool,
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        value_name = "BOOL"
    )]
    pub(super) fail_with_job: bool,
    #[command(flatten, next_help_heading = "Configuration")]
    pub(super) config: config::ConfigOptions,
    #[command(flatten, next_help_heading = "Kubernetes, for --trigger-job")]
    pub(super) kubernetes: kube::KubernetesOptions,
    #[command(flatten, next_help_heading = "GitHub, for what is not given")]
    pub(super) github: github::GithubOptions,
}

impl MkpjOptions {
    /// What the flags say about the commit under test, without its repository.
    pub(super) fn partial_refs(&self) -> Refs {
        Refs {
            base_ref: self.base_ref.clone(),
            base_sha: self.base_sha.clone(),
            pulls: vec![Pull {
                number: self.pull_number,
                author: self.pull_author.clone(),
                sha: self.pull_sha.clone(),
                head_ref: self.pull_head_ref.clone(),
                ..Pull::default()
            }],
            ..Refs::default()
        }
    }
}
