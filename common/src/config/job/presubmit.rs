//! Jobs that run on pull requests before they merge.

use super::{Brancher, ChangedFiles, GoRegexp, JobBase, RegexpChangeMatcher};
use crate::prowjob::JenkinsSpec;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presubmit {
    pub base: JobBase,
    /// Runs on every push to a pull request.
    pub always_run: bool,
    /// Its failure does not keep a pull request from merging.
    pub optional: bool,
    /// Comments that trigger the job.
    pub trigger: GoRegexp,
    /// The comment that reruns the job.
    pub rerun_command: String,
    /// Only Tide acts on it.
    pub run_before_merge: bool,
    pub brancher: Brancher,
    pub changes: RegexpChangeMatcher,
    /// The status context; the job's name unless set.
    pub context: String,
    /// No result is reported to GitHub.
    pub skip_report: bool,
    pub jenkins_spec: Option<JenkinsSpec>,
}

impl Presubmit {
    /// The trigger of a job with neither `trigger` nor `rerun_command`. A dot in the name matches
    /// any character, as in Prow.
    pub(in crate::config) fn default_trigger(name: &str) -> String {
        format!(r"(?m)^/test( | .* ){name},?($|\s.*)")
    }

    /// The comment that goes with [`Presubmit::default_trigger`].
    pub(in crate::config) fn default_rerun_command(name: &str) -> String {
        format!("/test {name}")
    }

    /// Whether a comment matches the job's trigger.
    pub fn trigger_matches(&self, comment: &str) -> bool {
        self.trigger.is_match(comment)
    }

    /// Whether only a comment or Tide triggers the job.
    pub fn needs_explicit_trigger(&self) -> bool {
        !self.always_run && !self.changes.is_set()
    }

    /// Whether there are pull requests on which the job does not run by itself.
    pub fn triggers_conditionally(&self) -> bool {
        self.needs_explicit_trigger() || self.changes.is_set()
    }

    /// Whether the status must be successful for a pull request to merge.
    pub fn context_required(&self) -> bool {
        !self.optional && !self.skip_report
    }

    /// Whether [`Presubmit::should_run`] depends on the changed files.
    pub fn needs_changes(&self, base_ref: &str, forced: bool) -> bool {
        self.brancher.runs_on(base_ref) && !self.always_run && !forced && self.changes.is_set()
    }

    /// Whether the job runs. Its branches must allow it; then any of `always_run`, `forced`
    /// (requested by name), matching changed files and `default` makes it run.
    pub fn should_run(
        &self,
        base_ref: &str,
        changes: &ChangedFiles<'_>,
        forced: bool,
        default: bool,
    ) -> bool {
        self.brancher.runs_on(base_ref)
            && (self.always_run || forced || self.changes.runs_against_changes(changes) || default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_run_asks_branch_then_always_then_force_then_changes_then_default() {
        let branch = Brancher {
            branches: vec![GoRegexp::new("main").unwrap()],
            skip_branches: vec![],
        };
        let go = RegexpChangeMatcher {
            run_if_changed: Some(GoRegexp::new("go$").unwrap()),
            skip_if_only_changed: None,
        };
        let manual = Presubmit {
            brancher: branch,
            ..Presubmit::default()
        };
        let always = Presubmit {
            always_run: true,
            ..manual.clone()
        };
        let conditional = Presubmit {
            changes: go,
            ..manual.clone()
        };
        let changed = vec!["a.go".to_owned()];
        for (job, base, changes, forced, default, runs) in [
            (&always, "other", &changed, true, true, false),
            (&always, "main", &vec![], false, false, true),
            (&manual, "main", &changed, false, false, false),
            (&manual, "main", &changed, true, false, true),
            (&manual, "main", &changed, false, true, true),
            (&conditional, "main", &changed, false, false, true),
            (&conditional, "main", &vec![], false, false, false),
            (&conditional, "main", &vec![], false, true, true),
        ] {
            let changes = ChangedFiles::new(changes);
            assert_eq!(job.should_run(base, &changes, forced, default), runs);
        }
        assert!(manual.needs_explicit_trigger() && !conditional.needs_explicit_trigger());
        assert!(conditional.triggers_conditionally() && !always.triggers_conditionally());
    }
}
