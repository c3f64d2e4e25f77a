//! Jobs that run on pushes.

use super::{Brancher, Changes, JobBase, RegexpChangeMatcher};
use crate::prowjob::JenkinsSpec;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postsubmit {
    pub base: JobBase,
    /// Unset: runs unless the changed files say otherwise. `false`: only when asked for.
    pub always_run: Option<bool>,
    pub brancher: Brancher,
    pub changes: RegexpChangeMatcher,
    /// The status context, the job's name unless set.
    pub context: String,
    /// Nothing is told on GitHub.
    pub skip_report: bool,
    pub jenkins_spec: Option<JenkinsSpec>,
}

impl Postsubmit {
    /// Whether a push to `branch` that changes these files starts the job.
    pub fn should_run(&self, branch: &str, changes: &Changes<'_>) -> bool {
        self.brancher.runs_on(branch)
            && if self.changes.is_set() {
                self.changes.matches(changes)
            } else {
                self.always_run.unwrap_or(true)
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pattern;

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
                skip_if_only_changed: Some(Pattern::new("^docs/").unwrap()),
            },
            ..plain.clone()
        };
        let (code, docs) = (["main.rs".to_owned()], ["docs/a".to_owned()]);
        let (code, docs) = (Changes::new(&code), Changes::new(&docs));
        assert!(plain.should_run("main", &Changes::default()));
        assert!(!manual.should_run("main", &code));
        assert!(conditional.should_run("main", &code));
        assert!(!conditional.should_run("main", &docs));
    }
}
