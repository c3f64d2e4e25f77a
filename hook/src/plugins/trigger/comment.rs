//! Decides what a comment on a pull request starts.
//!
//! relevance → trust → labels → choice → help, or the jobs. Trust is decided before anything of the
//! pull request's head is used.

use std::sync::Arc;

use common::{config::Presubmit, github::GithubPullRequest};

use super::{
    commands::{self, TriggerCommands},
    decision::{TriggerDecision, TriggerEffect},
    jobs::{self, CandidatePresubmits},
    lookups::{MissingLookup, TriggerContext, TriggerLookups},
    messages::{self, HelpNote},
    select::{self, PresubmitFilter},
    trust::{self, NEEDS_OK_TO_TEST, OK_TO_TEST},
};
use crate::event::{CommentAction, GenericCommentEvent};

pub(crate) fn decide_comment(
    comment: &GenericCommentEvent,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TriggerDecision, MissingLookup> {
    if comment.number == 0 {
        return Ok(TriggerDecision::without_effects(
            "the payload names no pull request",
        ));
    }
    if comment.action != CommentAction::Created || !comment.is_pull || !comment.is_open {
        return Ok(TriggerDecision::without_effects(
            "only new comments on open pull requests count",
        ));
    }
    if trust::is_bot(&comment.author.login, facts)? {
        return Ok(TriggerDecision::without_effects(
            "the bot does not obey itself",
        ));
    }
    let text = commands::strip_code_fences(&comment.body);
    if text.trim().is_empty() {
        return Ok(TriggerDecision::without_effects("nothing was said"));
    }
    let commands = TriggerCommands::parse_commands(&text);
    let asked_for = |jobs: &[Arc<Presubmit>]| jobs.iter().any(|job| job.trigger_matches(&text));
    let central = scene.config.presubmits_for(&scene.org_repo());
    let known = commands.has_any() || asked_for(central);
    if !known && !scene.in_repo_enabled() {
        return Ok(TriggerDecision::without_effects(
            "the comment holds no command",
        ));
    }
    let pull = facts.pull_request(comment.number)?;
    if pull.state == "closed" {
        return Ok(TriggerDecision::without_effects(
            "the pull request is closed by now",
        ));
    }
    let pull_trust = trust::trusted_pull_request(pull, scene, facts)?;
    if !known
        && !asked_for(&jobs::candidate_presubmits(pull, pull_trust.granted, scene, facts)?.jobs)
    {
        return Ok(TriggerDecision::without_effects(
            "the comment holds no command",
        ));
    }
    let asked = CommentRequest {
        comment,
        text,
        commands,
        context: None,
    };
    answer_request(asked, pull, scene, facts)
}

/// A request on an open pull request, by a comment or by a button.
pub(super) struct CommentRequest<'a> {
    /// The comment that an answer refers to.
    pub(super) comment: &'a GenericCommentEvent,
    /// The comment's text, without its fenced code blocks.
    pub(super) text: String,
    pub(super) commands: TriggerCommands,
    /// The context of one job to run, whatever the text says.
    pub(super) context: Option<String>,
}

/// Decides on a comment or button that is known to ask for something.
pub(super) fn answer_request(
    asked: CommentRequest<'_>,
    pull: &GithubPullRequest,
    scene: TriggerContext<'_>,
    facts: &TriggerLookups,
) -> Result<TriggerDecision, MissingLookup> {
    let (comment, commands) = (asked.comment, asked.commands);
    let pull_trust = trust::trusted_pull_request(pull, scene, facts)?;
    let commenter = trust::trusted_user(&comment.author.login, scene, facts)?;
    let vouched = commenter.granted && commands.ok_to_test && !scene.trigger.ignore_ok_to_test;
    let candidates = jobs::candidate_presubmits(pull, pull_trust.granted || vouched, scene, facts)?;

    let mut decision = TriggerDecision::without_effects(commenter.why.as_str());
    decision.add_reason(format!("of the pull request: {}", pull_trust.why));
    decision.reasons.extend(candidates.missing.clone());
    let request = TriggerRequest {
        asked,
        pull,
        candidates: &candidates,
        vouched,
    };
    if !commenter.granted && !pull_trust.granted {
        decision.add_reason("neither commenter nor pull request is trusted");
        decision.push_effect(TriggerEffect::Comment(messages::untrusted_comment(
            comment, scene,
        )));
    } else if commands.ok_to_test_cancel && !scene.trigger.ignore_ok_to_test {
        request.cancel_ok_to_test(&mut decision, commenter.granted);
    } else {
        request.update_labels(&mut decision);
        request.start_jobs(&mut decision, scene, facts)?;
    }
    Ok(decision)
}

/// A request that may start jobs.
struct TriggerRequest<'a> {
    asked: CommentRequest<'a>,
    pull: &'a GithubPullRequest,
    candidates: &'a CandidatePresubmits,
    /// A trusted user wrote `/ok-to-test`, and it counts here.
    vouched: bool,
}

impl TriggerRequest<'_> {
    /// `/ok-to-test cancel`: the next push runs nothing. Running jobs go on.
    fn cancel_ok_to_test(&self, decision: &mut TriggerDecision, trusted: bool) {
        if !trusted {
            decision.add_reason("only a trusted user takes /ok-to-test back");
            decision.push_effect(TriggerEffect::Comment(messages::cannot_cancel(
                self.asked.comment,
            )));
            return;
        }
        decision.add_reason("/ok-to-test is taken back");
        if trust::has_label(self.pull, OK_TO_TEST) {
            decision.push_effect(TriggerEffect::RemoveLabel(OK_TO_TEST));
        }
        decision.push_effect(TriggerEffect::AddLabel(NEEDS_OK_TO_TEST));
    }

    fn update_labels(&self, decision: &mut TriggerDecision) {
        let labelled = trust::has_label(self.pull, OK_TO_TEST);
        if self.vouched && !labelled {
            decision.push_effect(TriggerEffect::AddLabel(OK_TO_TEST));
        }
        if (self.vouched || labelled) && trust::has_label(self.pull, NEEDS_OK_TO_TEST) {
            decision.push_effect(TriggerEffect::RemoveLabel(NEEDS_OK_TO_TEST));
        }
    }

    fn start_jobs(
        &self,
        decision: &mut TriggerDecision,
        scene: TriggerContext<'_>,
        facts: &TriggerLookups,
    ) -> Result<(), MissingLookup> {
        let commands = self.asked.commands;
        if let Some(files) = &self.candidates.conflict {
            self.tell_conflict(files, decision, scene, facts);
            return Ok(());
        }
        let filters = self.build_filters(scene, facts)?;
        let selected = jobs::choose_presubmits(&self.candidates.jobs, &filters, self.pull, facts)?;
        if commands.asks_for_tests() || self.triggers_a_job() {
            decision.push_effect(TriggerEffect::PruneHelp);
        }
        if let Some(note) = self.choose_help_note(selected.is_empty()) {
            decision.add_reason("the comment gets help instead of a run");
            decision.push_effect(self.list_jobs(note.note_text(), scene, facts));
            return Ok(());
        }
        if selected.is_empty() {
            decision.add_reason("no job is chosen");
        }
        let retest = commands.retest || commands.retest_required;
        jobs::start_presubmits(decision, &selected, retest, self.pull, scene, facts)
    }

    /// Nothing runs on a pull request in conflict. A user who asks for a run is told why; a user
    /// who asks for help gets the list of jobs as well.
    fn tell_conflict(
        &self,
        files: &[String],
        decision: &mut TriggerDecision,
        scene: TriggerContext<'_>,
        facts: &TriggerLookups,
    ) {
        decision.add_reason(jobs::why_conflict(files, self.pull));
        if !self.asks_for_a_run(scene) {
            return;
        }
        let commands = self.asked.commands;
        if commands.asks_for_tests() {
            decision.push_effect(TriggerEffect::PruneHelp);
        }
        let text = messages::conflict_message(&self.pull.base.git_ref, files);
        decision.push_effect(if commands.ask_help || commands.bare_test {
            self.list_jobs(&text, scene, facts)
        } else {
            TriggerEffect::Comment(messages::replaceable_answer(self.asked.comment, &text))
        });
    }

    fn asks_for_a_run(&self, scene: TriggerContext<'_>) -> bool {
        let commands = self.asked.commands;
        commands.asks_for_tests()
            || self.asked.context.is_some()
            || (commands.ok_to_test && !scene.trigger.ignore_ok_to_test)
            || self.triggers_a_job()
    }

    /// Whether the text matches the trigger of a job.
    fn triggers_a_job(&self) -> bool {
        let mut jobs = self.candidates.jobs.iter();
        jobs.any(|job| job.trigger_matches(&self.asked.text))
    }

    fn list_jobs(
        &self,
        note: &str,
        scene: TriggerContext<'_>,
        facts: &TriggerLookups,
    ) -> TriggerEffect {
        TriggerEffect::Comment(messages::help_comment(
            note,
            self.asked.comment,
            &self.candidates.jobs,
            &self.pull.base.git_ref,
            &scene.org_repo(),
            facts.changed_files.as_deref(),
        ))
    }

    fn build_filters(
        &self,
        scene: TriggerContext<'_>,
        facts: &TriggerLookups,
    ) -> Result<Vec<PresubmitFilter>, MissingLookup> {
        let commands = self.asked.commands;
        let mut filters = vec![PresubmitFilter::Command(self.asked.text.clone())];
        filters.extend(self.asked.context.clone().map(PresubmitFilter::Context));
        if commands.retest || commands.retest_required {
            let contexts = select::status_contexts(facts.commit_statuses(&self.pull.head.sha)?);
            if commands.retest {
                filters.push(PresubmitFilter::Retest(Arc::clone(&contexts)));
            }
            if commands.retest_required {
                filters.push(PresubmitFilter::RetestRequired(contexts));
            }
        }
        if commands.test_manual_required {
            filters.push(PresubmitFilter::ManualRequired);
        }
        // On a pull request that is trusted already, `/ok-to-test` means `/test all`.
        if commands.test_all || (commands.ok_to_test && !scene.trigger.ignore_ok_to_test) {
            filters.push(PresubmitFilter::Auto);
        }
        Ok(filters)
    }

    fn choose_help_note(&self, nothing_selected: bool) -> Option<HelpNote> {
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
