//! What a comment on a pull request starts.
//!
//! relevance → trust → labels → choice → help, or the jobs. Trust comes before anything of the
//! pull request's head is used.

use std::sync::Arc;

use common::{config::Presubmit, github::PullRequest};

use super::{
    commands::{self, Commands},
    decision::{Decision, Effect},
    facts::{Facts, Need, Scene},
    jobs::{self, Candidates},
    select::{self, Filter},
    texts::{self, HelpNote},
    trust::{self, NEEDS_OK_TO_TEST, OK_TO_TEST},
};
use crate::event::{Comment, CommentAction};

pub(crate) fn decide(comment: &Comment, scene: Scene<'_>, facts: &Facts) -> Result<Decision, Need> {
    if comment.number == 0 {
        return Ok(Decision::nothing("the payload names no pull request"));
    }
    if comment.action != CommentAction::Created || !comment.is_pull || !comment.is_open {
        return Ok(Decision::nothing(
            "only new comments on open pull requests count",
        ));
    }
    if trust::is_bot(&comment.author.login, facts)? {
        return Ok(Decision::nothing("the bot does not obey itself"));
    }
    let text = commands::outside_fences(&comment.body);
    if text.trim().is_empty() {
        return Ok(Decision::nothing("nothing was said"));
    }
    let commands = Commands::parse(&text);
    let asked_for = |jobs: &[Arc<Presubmit>]| jobs.iter().any(|job| job.trigger_matches(&text));
    let central = scene.config.presubmits_for(&scene.org_repo());
    let known = commands.any() || asked_for(central);
    if !known && !scene.in_repo_enabled() {
        return Ok(Decision::nothing("the comment holds no command"));
    }
    let pull = facts.pull(comment.number)?;
    if pull.state == "closed" {
        return Ok(Decision::nothing("the pull request is closed by now"));
    }
    let pull_trust = trust::of_pull(pull, scene, facts)?;
    if !known && !asked_for(&jobs::candidates(pull, pull_trust.granted, scene, facts)?.jobs) {
        return Ok(Decision::nothing("the comment holds no command"));
    }
    let asked = Asked {
        comment,
        text,
        commands,
        context: None,
    };
    answer(asked, pull, scene, facts)
}

/// What somebody asks for on an open pull request, in words or by a button.
pub(super) struct Asked<'a> {
    /// What an answer refers to.
    pub(super) comment: &'a Comment,
    /// Of the comment, without its fenced blocks.
    pub(super) text: String,
    pub(super) commands: Commands,
    /// The context of one job, whatever the text says.
    pub(super) context: Option<String>,
}

/// Decides about what is known to ask for something.
pub(super) fn answer(
    asked: Asked<'_>,
    pull: &PullRequest,
    scene: Scene<'_>,
    facts: &Facts,
) -> Result<Decision, Need> {
    let (comment, commands) = (asked.comment, asked.commands);
    let pull_trust = trust::of_pull(pull, scene, facts)?;
    let commenter = trust::of_user(&comment.author.login, scene, facts)?;
    let vouched = commenter.granted && commands.ok_to_test && !scene.trigger.ignore_ok_to_test;
    let candidates = jobs::candidates(pull, pull_trust.granted || vouched, scene, facts)?;

    let mut decision = Decision::nothing(commenter.why.as_str());
    decision.because(format!("of the pull request: {}", pull_trust.why));
    decision.reasons.extend(candidates.missing.clone());
    let request = Request {
        asked,
        pull,
        candidates: &candidates,
        vouched,
    };
    if !commenter.granted && !pull_trust.granted {
        decision.because("neither commenter nor pull request is trusted");
        decision.push(Effect::Comment(texts::refused(comment, scene)));
    } else if commands.ok_to_test_cancel && !scene.trigger.ignore_ok_to_test {
        request.cancel(&mut decision, commenter.granted);
    } else {
        request.label(&mut decision);
        request.start(&mut decision, scene, facts)?;
    }
    Ok(decision)
}

/// What may start something.
struct Request<'a> {
    asked: Asked<'a>,
    pull: &'a PullRequest,
    candidates: &'a Candidates,
    /// A trusted user said `/ok-to-test`, and that counts here.
    vouched: bool,
}

impl Request<'_> {
    /// `/ok-to-test cancel`: the next push runs nothing. What runs goes on.
    fn cancel(&self, decision: &mut Decision, trusted: bool) {
        if !trusted {
            decision.because("only a trusted user takes /ok-to-test back");
            decision.push(Effect::Comment(texts::cannot_cancel(self.asked.comment)));
            return;
        }
        decision.because("/ok-to-test is taken back");
        if trust::has_label(self.pull, OK_TO_TEST) {
            decision.push(Effect::RemoveLabel(OK_TO_TEST));
        }
        decision.push(Effect::AddLabel(NEEDS_OK_TO_TEST));
    }

    fn label(&self, decision: &mut Decision) {
        let labelled = trust::has_label(self.pull, OK_TO_TEST);
        if self.vouched && !labelled {
            decision.push(Effect::AddLabel(OK_TO_TEST));
        }
        if (self.vouched || labelled) && trust::has_label(self.pull, NEEDS_OK_TO_TEST) {
            decision.push(Effect::RemoveLabel(NEEDS_OK_TO_TEST));
        }
    }

    fn start(&self, decision: &mut Decision, scene: Scene<'_>, facts: &Facts) -> Result<(), Need> {
        let commands = self.asked.commands;
        if let Some(files) = &self.candidates.conflict {
            self.tell_conflict(files, decision, scene, facts);
            return Ok(());
        }
        let filters = self.filters(scene, facts)?;
        let selected = jobs::choose(&self.candidates.jobs, &filters, self.pull, facts)?;
        if commands.asks_for_tests() || self.triggers_a_job() {
            decision.push(Effect::PruneHelp);
        }
        if let Some(note) = self.help(selected.is_empty()) {
            decision.because("the comment gets help instead of a run");
            decision.push(self.list_jobs(note.text(), scene, facts));
            return Ok(());
        }
        if selected.is_empty() {
            decision.because("no job is chosen");
        }
        let retest = commands.retest || commands.retest_required;
        jobs::start(decision, &selected, retest, self.pull, scene, facts)
    }

    /// Nothing runs on a pull request in conflict. Whoever asks for a run is told why, and
    /// whoever asks what there is gets the list as well.
    fn tell_conflict(
        &self,
        files: &[String],
        decision: &mut Decision,
        scene: Scene<'_>,
        facts: &Facts,
    ) {
        decision.because(jobs::why_conflict(files, self.pull));
        if !self.asks_for_a_run(scene) {
            return;
        }
        let commands = self.asked.commands;
        if commands.asks_for_tests() {
            decision.push(Effect::PruneHelp);
        }
        let text = texts::conflict(&self.pull.base.git_ref, files);
        decision.push(if commands.ask_help || commands.bare_test {
            self.list_jobs(&text, scene, facts)
        } else {
            Effect::Comment(texts::answer(self.asked.comment, &text))
        });
    }

    fn asks_for_a_run(&self, scene: Scene<'_>) -> bool {
        let commands = self.asked.commands;
        commands.asks_for_tests()
            || self.asked.context.is_some()
            || (commands.ok_to_test && !scene.trigger.ignore_ok_to_test)
            || self.triggers_a_job()
    }

    /// By the trigger of its own, whatever that is.
    fn triggers_a_job(&self) -> bool {
        let mut jobs = self.candidates.jobs.iter();
        jobs.any(|job| job.trigger_matches(&self.asked.text))
    }

    fn list_jobs(&self, note: &str, scene: Scene<'_>, facts: &Facts) -> Effect {
        Effect::Comment(texts::help(
            note,
            self.asked.comment,
            &self.candidates.jobs,
            &self.pull.base.git_ref,
            &scene.org_repo(),
            facts.changed_files.as_deref(),
        ))
    }

    fn filters(&self, scene: Scene<'_>, facts: &Facts) -> Result<Vec<Filter>, Need> {
        let commands = self.asked.commands;
        let mut filters = vec![Filter::Command(self.asked.text.clone())];
        filters.extend(self.asked.context.clone().map(Filter::Context));
        if commands.retest || commands.retest_required {
            let contexts = select::contexts(facts.statuses(&self.pull.head.sha)?);
            if commands.retest {
                filters.push(Filter::Retest(Arc::clone(&contexts)));
            }
            if commands.retest_required {
                filters.push(Filter::RetestRequired(contexts));
            }
        }
        if commands.test_manual_required {
            filters.push(Filter::ManualRequired);
        }
        // On a pull request that is trusted already, whoever says it means `/test all`.
        if commands.test_all || (commands.ok_to_test && !scene.trigger.ignore_ok_to_test) {
            filters.push(Filter::Auto);
        }
        Ok(filters)
    }

    fn help(&self, nothing_selected: bool) -> Option<HelpNote> {
        let commands = self.asked.commands;
        if commands.ask_help {
            Some(HelpNote::Asked)
        } else if commands.bare_test {
            Some(HelpNote::BareTest)
        } else if commands.retest_named {
            Some(HelpNote::RetestNamed)
        } else if nothing_selected && commands.test_all {
            Some(HelpNote::NothingToTest)
        } else if nothing_selected && commands.test_named {
            Some(HelpNote::UnknownTarget)
        } else {
            None
        }
    }
}
