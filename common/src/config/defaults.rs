//! From written jobs to complete ones: Prow's defaults, decoration, presets, patterns.

use std::sync::Arc;

use super::{
    JobBase, Origin, Path, Pattern, Periodic, PodText, Postsubmit, Preset, Presubmit, ProwConfig,
    RegexpChangeMatcher, UtilityConfig,
    decorations::Decorations,
    findings::Findings,
    job::{BaseFields, Brancher, Patterns, PeriodicFields, PostsubmitFields, PresubmitFields},
    preset, validate,
};
use crate::prowjob::{
    DEFAULT_CLUSTER, ProwJobAgent, ProwJobDefault, ProwJobType, RawPodSpec, Refs,
};

/// What a job's `prowjob_defaults` say when nobody said anything.
const GLOBAL_TENANT: &str = "GlobalDefaultID";

/// The trigger of a job whose name is no longer is small for sure.
pub(super) const MAX_KNOWN: usize = 63;

/// Completes the jobs of one load.
pub(super) struct Completion<'a> {
    pub(super) prow: &'a ProwConfig,
    pub(super) presets: &'a [Preset],
    pub(super) decorations: &'a Decorations<'a>,
    pub(super) patterns: Patterns,
    pub(super) findings: &'a mut Findings,
}

impl Completion<'_> {
    pub(super) fn presubmit(
        &mut self,
        mut fields: PresubmitFields,
        origin: Origin,
        org_repo: &str,
    ) -> Presubmit {
        let kind = ProwJobType::Presubmit;
        let base = self.base(fields.take_base(), origin, Some(org_repo), kind);
        let (trigger, rerun_command) = self.trigger(&base, &fields);
        Presubmit {
            always_run: fields.always_run,
            optional: fields.optional,
            trigger,
            rerun_command,
            run_before_merge: fields.run_before_merge,
            brancher: self.brancher(&base.origin, &fields.branches, &fields.skip_branches),
            changes: self.changes(
                &base.origin,
                &fields.run_if_changed,
                &fields.skip_if_only_changed,
            ),
            context: or(fields.context, &base.name),
            skip_report: fields.skip_report,
            jenkins_spec: fields.jenkins_spec,
            base,
        }
    }

    pub(super) fn postsubmit(
        &mut self,
        mut fields: PostsubmitFields,
        origin: Origin,
        org_repo: &str,
    ) -> Postsubmit {
        let kind = ProwJobType::Postsubmit;
        let base = self.base(fields.take_base(), origin, Some(org_repo), kind);
        Postsubmit {
            always_run: fields.always_run,
            brancher: self.brancher(&base.origin, &fields.branches, &fields.skip_branches),
            changes: self.changes(
                &base.origin,
                &fields.run_if_changed,
                &fields.skip_if_only_changed,
            ),
            context: or(fields.context, &base.name),
            skip_report: fields.skip_report,
            jenkins_spec: fields.jenkins_spec,
            base,
        }
    }

    /// A periodic belongs to its first extra repository.
    pub(super) fn periodic(&mut self, mut fields: PeriodicFields, origin: Origin) -> Periodic {
        let base_fields = fields.take_base();
        let org_repo = base_fields.extra_refs.first().map(Refs::org_repo);
        Periodic {
            base: self.base(
                base_fields,
                origin,
                org_repo.as_deref(),
                ProwJobType::Periodic,
            ),
            interval: fields.interval,
            minimum_interval: fields.minimum_interval,
            cron: fields.cron,
            tags: fields.tags,
            retry: fields.retry,
        }
    }

    /// Complete and checked, because afterwards the pod is no tree any more.
    fn base(
        &mut self,
        fields: BaseFields,
        origin: Origin,
        org_repo: Option<&str>,
        kind: ProwJobType,
    ) -> JobBase {
        let cluster = or(fields.cluster, DEFAULT_CLUSTER);
        let decorate = fields.decorate.unwrap_or(self.prow.decorate_all_jobs);
        let own = fields.decoration_config;
        let decoration = match decorate {
            true => Some(self.decorations.of(own, org_repo, &cluster)),
            false => own.map(Arc::new),
        };
        let mut base = JobBase {
            name: fields.name,
            labels: fields.labels,
            max_concurrency: fields.max_concurrency,
            agent: ProwJobAgent(or(fields.agent, ProwJobAgent::KUBERNETES)),
            namespace: or(fields.namespace, &self.prow.pod_namespace),
            error_on_eviction: fields.error_on_eviction,
            spec: None,
            pipeline_run_spec: fields.pipeline_run_spec,
            tekton_pipeline_run_spec: fields.tekton_pipeline_run_spec,
            annotations: fields.annotations,
            reporter_config: fields.reporter_config,
            rerun_auth_config: fields.rerun_auth_config,
            hidden: fields.hidden,
            prowjob_defaults: Some(self.defaults(fields.prowjob_defaults, org_repo, &cluster)),
            job_queue_name: fields.job_queue_name,
            cluster,
            utility: UtilityConfig {
                decorate,
                path_alias: fields.path_alias,
                clone_uri: fields.clone_uri,
                skip_submodules: fields.skip_submodules,
                clone_depth: fields.clone_depth,
                skip_fetch_head: fields.skip_fetch_head,
                extra_refs: fields.extra_refs,
                decoration_config: decoration,
            },
            origin,
        };
        let mut pod = fields.spec;
        if let Some(pod) = &mut pod {
            self.apply_presets(&base, pod);
        }
        base.spec = pod.as_ref().map(PodText::new);
        validate::base(&base, pod.as_ref(), kind, self.prow, self.findings);
        base
    }

    fn apply_presets(&mut self, base: &JobBase, pod: &mut RawPodSpec) {
        for (rule, collision) in preset::apply(self.presets, &base.labels, &mut pod.0) {
            self.findings.job(rule, &base.origin, "spec", collision);
        }
    }

    /// The job's own `prowjob_defaults` over the installation's.
    fn defaults(
        &self,
        own: Option<ProwJobDefault>,
        org_repo: Option<&str>,
        cluster: &str,
    ) -> ProwJobDefault {
        let mut merged = own.unwrap_or_default();
        let entries = self.prow.prowjob_default_entries.iter().rev();
        for entry in entries.filter(|entry| entry.matches(org_repo, cluster)) {
            let config = &entry.config;
            if merged.resultstore_config.is_none() {
                merged
                    .resultstore_config
                    .clone_from(&config.resultstore_config);
            }
            if merged.tenant_id.is_empty() {
                merged.tenant_id.clone_from(&config.tenant_id);
            }
        }
        merged.tenant_id = or(merged.tenant_id, GLOBAL_TENANT);
        merged
    }

    /// Comments that start the job, and the one that starts it again. Without either, both come
    /// from the job's name, in which a dot stands for any character, as in Prow.
    fn trigger(&mut self, base: &JobBase, fields: &PresubmitFields) -> (Pattern, String) {
        let (trigger, rerun) = (&fields.trigger, &fields.rerun_command);
        if trigger.is_empty() && rerun.is_empty() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let pattern = if base.name.chars().all(plain) {
                let pattern = Presubmit::default_trigger(&base.name);
                match base.name.len() {
                    ..=MAX_KNOWN => Pattern::known(pattern),
                    _ => self.pattern(&base.origin, "name", &pattern),
                }
            } else {
                // Validation refuses the name; the pattern only has to be valid.
                let name = regex::escape(&base.name);
                self.pattern(&base.origin, "name", &Presubmit::default_trigger(&name))
            };
            return (pattern, Presubmit::default_rerun_command(&base.name));
        }
        for (key, missing, present) in [
            ("rerun_command", trigger, rerun),
            ("trigger", rerun, trigger),
        ] {
            if missing.is_empty() && !present.is_empty() {
                let message = "trigger and rerun_command are given together or not at all";
                self.findings
                    .job("trigger-and-rerun-command", &base.origin, key, message);
            }
        }
        (
            self.pattern(&base.origin, "trigger", trigger),
            rerun.clone(),
        )
    }

    fn brancher(&mut self, origin: &Origin, branches: &[String], skip: &[String]) -> Brancher {
        let root = Path::Below(&origin.path);
        let mut list = |key: &str, sources: &[String]| {
            let list = root.key(key);
            let sources = sources.iter().enumerate();
            sources
                .map(|(index, source)| self.pattern_at(origin, &list.index(index), source))
                .collect()
        };
        Brancher {
            branches: list("branches", branches),
            skip_branches: list("skip_branches", skip),
        }
    }

    fn changes(&mut self, origin: &Origin, run: &str, skip: &str) -> RegexpChangeMatcher {
        let mut one = |key: &str, source: &str| {
            (!source.is_empty()).then(|| self.pattern(origin, key, source))
        };
        RegexpChangeMatcher {
            run_if_changed: one("run_if_changed", run),
            skip_if_only_changed: one("skip_if_only_changed", skip),
        }
    }

    fn pattern(&mut self, origin: &Origin, key: &str, source: &str) -> Pattern {
        let root = Path::Below(&origin.path);
        self.pattern_at(origin, &root.key(key), source)
    }

    fn pattern_at(&mut self, origin: &Origin, place: &Path<'_>, source: &str) -> Pattern {
        self.patterns.get(source).unwrap_or_else(|message| {
            self.findings.add("regexp", &origin.file, place, message);
            Pattern::default()
        })
    }
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() {
        default.to_owned()
    } else {
        text
    }
}
