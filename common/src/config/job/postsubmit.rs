//! Jobs that run on pushes.

use super::{Brancher, ChangedFiles, JobBase, RegexpChangeMatcher};
use crate::prowjob::JenkinsSpec;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postsubmit {
    pub base: JobBase,
    /// Unset: runs unless the changed files decide otherwise. `false`: only on request.
    pub always_run: Option<bool>,
    pub brancher: Brancher,
    pub changes: RegexpChangeMatcher,
    /// The status context; the job's name unless set.
    pub context: String,
    /// No result is reported to GitHub.
    pub skip_report: bool,
    pub jenkins_spec: Option<JenkinsSpec>,
}

impl Postsubmit {
    /// Whether a push to `branch` that changes these files triggers the job.
    pub fn should_run(&self, branch: &str, changes: &ChangedFiles<'_>) -> bool {
        self.brancher.runs_on(branch)
            && if self.changes.is_set() {
                self.changes.runs_against_changes(changes)
            } else {
                self.always_run.unwrap_or(true)
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GoRegexp;

    #[test]
    fn a_push_starts_it_unless_files_or_always_run_say_no() {
        let plain = Postsubmit::default();
        let manual = Postsubmit {
            always_run: Some(false),
            ..plain.clone()
        };
        let conditional = Postsubmit {
            changes: RegexpChangeMatcher {
                run_if_changed: None,
                skip_if_only_changed: Some(GoRegexp::new("^docs/").unwrap()),
            },
            ..plain.clone()
        };
        let (code, docs) = (["main.rs".to_owned()], ["docs/a".to_owned()]);
        let (code, docs) = (ChangedFiles::new(&code), ChangedFiles::new(&docs));
        assert!(plain.should_run("main", &ChangedFiles::default()));
        assert!(!manual.should_run("main", &code));
        assert!(conditional.should_run("main", &code));
        assert!(!conditional.should_run("main", &docs));
    }
}
