//! Completes parsed jobs: Prow's defaults, decoration, presets, patterns.

use std::sync::Arc;

use super::{
    ConfigOrigin, ConfigPath, GoRegexp, JobBase, Periodic, PodSpecJson, Postsubmit, Preset,
    Presubmit, ProwConfig, RegexpChangeMatcher, UtilityConfig,
    decoration_cache::DecorationCache,
    diagnostics::Diagnostics,
    job::{BaseFields, Brancher, GoRegexpCache, PeriodicFields, PostsubmitFields, PresubmitFields},
    preset, validate,
};
use crate::prowjob::{
    DEFAULT_CLUSTER, ProwJobAgent, ProwJobDefault, ProwJobType, RawPodSpec, Refs,
};

/// The tenant in a job's `prowjob_defaults` if nothing sets it.
const GLOBAL_TENANT: &str = "GlobalDefaultID";

/// The default trigger of a job whose name is no longer than this is certainly small enough.
pub(super) const MAX_UNCHECKED_NAME: usize = 63;

/// Completes the jobs of one load.
pub(super) struct JobDefaulter<'a> {
    pub(super) prow: &'a ProwConfig,
    pub(super) presets: &'a [Preset],
    pub(super) decorations: &'a DecorationCache<'a>,
    pub(super) patterns: GoRegexpCache,
    pub(super) findings: &'a mut Diagnostics,
}

impl JobDefaulter<'_> {
    pub(super) fn complete_presubmit(
        &mut self,
        mut fields: PresubmitFields,
        origin: ConfigOrigin,
        org_repo: &str,
    ) -> Presubmit {
        let kind = ProwJobType::Presubmit;
        let base = self.complete_base(fields.take_base(), origin, Some(org_repo), kind);
        let (trigger, rerun_command) = self.complete_trigger(&base, &fields);
        Presubmit {
            always_run: fields.always_run,
            optional: fields.optional,
            trigger,
            rerun_command,
            run_before_merge: fields.run_before_merge,
            brancher: self.compile_brancher(&base.origin, &fields.branches, &fields.skip_branches),
            changes: self.compile_change_matcher(
                &base.origin,
                &fields.run_if_changed,
                &fields.skip_if_only_changed,
            ),
            context: text_or_default(fields.context, &base.name),
            skip_report: fields.skip_report,
            jenkins_spec: fields.jenkins_spec,
            base,
        }
    }

    pub(super) fn complete_postsubmit(
        &mut self,
        mut fields: PostsubmitFields,
        origin: ConfigOrigin,
        org_repo: &str,
    ) -> Postsubmit {
        let kind = ProwJobType::Postsubmit;
        let base = self.complete_base(fields.take_base(), origin, Some(org_repo), kind);
        Postsubmit {
            always_run: fields.always_run,
            brancher: self.compile_brancher(&base.origin, &fields.branches, &fields.skip_branches),
            changes: self.compile_change_matcher(
                &base.origin,
                &fields.run_if_changed,
                &fields.skip_if_only_changed,
            ),
            context: text_or_default(fields.context, &base.name),
            skip_report: fields.skip_report,
            jenkins_spec: fields.jenkins_spec,
            base,
        }
    }

    /// Defaults for a repository are those of the first `extra_refs`.
    pub(super) fn complete_periodic(
        &mut self,
        mut fields: PeriodicFields,
        origin: ConfigOrigin,
    ) -> Periodic {
        let base_fields = fields.take_base();
        let org_repo = base_fields.extra_refs.first().map(Refs::org_repo);
        Periodic {
            base: self.complete_base(
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

    /// Also validates, because afterwards the pod spec is JSON text and no tree.
    fn complete_base(
        &mut self,
        fields: BaseFields,
        origin: ConfigOrigin,
        org_repo: Option<&str>,
        kind: ProwJobType,
    ) -> JobBase {
        let cluster = text_or_default(fields.cluster, DEFAULT_CLUSTER);
        let decorate = fields.decorate.unwrap_or(self.prow.decorate_all_jobs);
        let own = fields.decoration_config;
        let decoration = match decorate {
            true => Some(self.decorations.merge_decoration(own, org_repo, &cluster)),
            false => own.map(Arc::new),
        };
        let mut base = JobBase {
            name: fields.name,
            labels: fields.labels,
            max_concurrency: fields.max_concurrency,
            agent: ProwJobAgent(text_or_default(fields.agent, ProwJobAgent::KUBERNETES)),
            namespace: text_or_default(fields.namespace, &self.prow.pod_namespace),
            error_on_eviction: fields.error_on_eviction,
            spec: None,
            pipeline_run_spec: fields.pipeline_run_spec,
            tekton_pipeline_run_spec: fields.tekton_pipeline_run_spec,
            annotations: fields.annotations,
            reporter_config: fields.reporter_config,
            rerun_auth_config: fields.rerun_auth_config,
            hidden: fields.hidden,
            prowjob_defaults: Some(self.merge_prowjob_defaults(
                fields.prowjob_defaults,
                org_repo,
                &cluster,
            )),
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
        base.spec = pod.as_ref().map(PodSpecJson::new);
        validate::validate_job_base(&base, pod.as_ref(), kind, self.prow, self.findings);
        base
    }

    fn apply_presets(&mut self, base: &JobBase, pod: &mut RawPodSpec) {
        for (rule, collision) in preset::apply_presets(self.presets, &base.labels, &mut pod.0) {
            self.findings
                .add_job_diagnostic(rule, &base.origin, "spec", collision);
        }
    }

    /// Merges the job's own `prowjob_defaults` over the installation's.
    fn merge_prowjob_defaults(
        &self,
        own: Option<ProwJobDefault>,
        org_repo: Option<&str>,
        cluster: &str,
    ) -> ProwJobDefault {
        let mut merged = own.unwrap_or_default();
        let entries = self.prow.prowjob_default_entries.iter().rev();
        for entry in entries.filter(|entry| entry.matches_job(org_repo, cluster)) {
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
        merged.tenant_id = text_or_default(merged.tenant_id, GLOBAL_TENANT);
        merged
    }

    /// The pattern of comments that trigger the job, and the comment that reruns it. Without
    /// either, both come from the job's name, in which a dot matches any character, as in Prow.
    fn complete_trigger(&mut self, base: &JobBase, fields: &PresubmitFields) -> (GoRegexp, String) {
        let (trigger, rerun) = (&fields.trigger, &fields.rerun_command);
        if trigger.is_empty() && rerun.is_empty() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let pattern = if base.name.chars().all(plain) {
                let pattern = Presubmit::default_trigger(&base.name);
                match base.name.len() {
                    ..=MAX_UNCHECKED_NAME => GoRegexp::new_unchecked(pattern),
                    _ => self.compile_pattern(&base.origin, "name", &pattern),
                }
            } else {
                // Validation refuses the name; the pattern only has to be valid.
                let name = regex::escape(&base.name);
                self.compile_pattern(&base.origin, "name", &Presubmit::default_trigger(&name))
            };
            return (pattern, Presubmit::default_rerun_command(&base.name));
        }
        for (key, missing, present) in [
            ("rerun_command", trigger, rerun),
            ("trigger", rerun, trigger),
        ] {
            if missing.is_empty() && !present.is_empty() {
                let message = "trigger and rerun_command are given together or not at all";
                self.findings.add_job_diagnostic(
                    "trigger-and-rerun-command",
                    &base.origin,
                    key,
                    message,
                );
            }
        }
        (
            self.compile_pattern(&base.origin, "trigger", trigger),
            rerun.clone(),
        )
    }

    fn compile_brancher(
        &mut self,
        origin: &ConfigOrigin,
        branches: &[String],
        skip: &[String],
    ) -> Brancher {
        let root = ConfigPath::Below(&origin.path);
        let mut list = |key: &str, sources: &[String]| {
            let list = root.key(key);
            let sources = sources.iter().enumerate();
            sources
                .map(|(index, source)| self.compile_pattern_at(origin, &list.index(index), source))
                .collect()
        };
        Brancher {
            branches: list("branches", branches),
            skip_branches: list("skip_branches", skip),
        }
    }

    fn compile_change_matcher(
        &mut self,
        origin: &ConfigOrigin,
        run: &str,
        skip: &str,
    ) -> RegexpChangeMatcher {
        let mut one = |key: &str, source: &str| {
            (!source.is_empty()).then(|| self.compile_pattern(origin, key, source))
        };
        RegexpChangeMatcher {
            run_if_changed: one("run_if_changed", run),
            skip_if_only_changed: one("skip_if_only_changed", skip),
        }
    }

    fn compile_pattern(&mut self, origin: &ConfigOrigin, key: &str, source: &str) -> GoRegexp {
        let root = ConfigPath::Below(&origin.path);
        self.compile_pattern_at(origin, &root.key(key), source)
    }

    fn compile_pattern_at(
        &mut self,
        origin: &ConfigOrigin,
        place: &ConfigPath<'_>,
        source: &str,
    ) -> GoRegexp {
        self.patterns
            .get_or_compile(source)
            .unwrap_or_else(|message| {
                self.findings
                    .add_diagnostic("regexp", &origin.file, place, message);
                GoRegexp::default()
            })
    }
}

fn text_or_default(text: String, default: &str) -> String {
    if text.is_empty() {
        default.to_owned()
    } else {
        text
    }
}
