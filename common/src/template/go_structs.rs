//! The fields of a `ProwJob` under their Go names, from upstream's `prowjobs/v1/types.go`.

/// A Go struct.
pub(super) struct GoStruct {
    /// The Go name, for messages; an embedded struct's is its field name.
    pub(super) name: &'static str,
    pub(super) fields: &'static [GoField],
    /// By their key in JSON. Their fields can also be used without their name.
    pub(super) embedded: &'static [(&'static str, &'static GoStruct)],
}

/// A field of a struct.
pub(super) struct GoField {
    pub(super) go: &'static str,
    pub(super) json: &'static str,
    pub(super) kind: GoFieldKind,
}

/// What a field holds, and thus its value if JSON leaves it out.
pub(super) enum GoFieldKind {
    Text,
    Number,
    Flag,
    Time,
    TimePointer,
    Texts,
    TextMap,
    Struct(&'static GoStruct),
    Structs(&'static GoStruct),
    Pointer(&'static GoStruct),
    /// Any value; nil if left out.
    Loose,
}

use GoFieldKind::{
    Flag, Loose, Number, Pointer, Struct as Nested, Structs, Text, TextMap, Texts, Time,
    TimePointer,
};

const fn go_field(go: &'static str, json: &'static str, kind: GoFieldKind) -> GoField {
    GoField { go, json, kind }
}

pub(super) static PROW_JOB: GoStruct = GoStruct {
    name: "ProwJob",
    fields: &[
        go_field("Kind", "kind", Text),
        go_field("APIVersion", "apiVersion", Text),
        go_field("Spec", "spec", Nested(&SPEC)),
        go_field("Status", "status", Nested(&STATUS)),
    ],
    embedded: &[("metadata", &OBJECT_META)],
};

static OBJECT_META: GoStruct = GoStruct {
    name: "ObjectMeta",
    fields: &[
        go_field("Name", "name", Text),
        go_field("GenerateName", "generateName", Text),
        go_field("Namespace", "namespace", Text),
        go_field("UID", "uid", Text),
        go_field("ResourceVersion", "resourceVersion", Text),
        go_field("Generation", "generation", Number),
        go_field("CreationTimestamp", "creationTimestamp", Time),
        go_field("DeletionTimestamp", "deletionTimestamp", TimePointer),
        go_field("Labels", "labels", TextMap),
        go_field("Annotations", "annotations", TextMap),
        go_field("Finalizers", "finalizers", Texts),
    ],
    embedded: &[],
};

static SPEC: GoStruct = GoStruct {
    name: "ProwJobSpec",
    fields: &[
        go_field("Type", "type", Text),
        go_field("Agent", "agent", Text),
        go_field("Cluster", "cluster", Text),
        go_field("Namespace", "namespace", Text),
        go_field("Job", "job", Text),
        go_field("Refs", "refs", Pointer(&REFS)),
        go_field("ExtraRefs", "extra_refs", Structs(&REFS)),
        go_field("Report", "report", Flag),
        go_field("Context", "context", Text),
        go_field("RerunCommand", "rerun_command", Text),
        go_field("MaxConcurrency", "max_concurrency", Number),
        go_field("ErrorOnEviction", "error_on_eviction", Flag),
        go_field("PodSpec", "pod_spec", Loose),
        go_field("JenkinsSpec", "jenkins_spec", Loose),
        go_field("PipelineRunSpec", "pipeline_run_spec", Loose),
        go_field("TektonPipelineRunSpec", "tekton_pipeline_run_spec", Loose),
        go_field("DecorationConfig", "decoration_config", Loose),
        go_field("ReporterConfig", "reporter_config", Pointer(&REPORTER)),
        go_field("RerunAuthConfig", "rerun_auth_config", Loose),
        go_field("Hidden", "hidden", Flag),
        go_field("ProwJobDefault", "prowjob_defaults", Loose),
        go_field("JobQueueName", "job_queue_name", Text),
    ],
    embedded: &[],
};

static STATUS: GoStruct = GoStruct {
    name: "ProwJobStatus",
    fields: &[
        go_field("StartTime", "startTime", Time),
        go_field("PendingTime", "pendingTime", TimePointer),
        go_field("CompletionTime", "completionTime", TimePointer),
        go_field("State", "state", Text),
        go_field("Description", "description", Text),
        go_field("URL", "url", Text),
        go_field("PodRevivalCount", "pod_revival_count", Number),
        go_field("PodName", "pod_name", Text),
        go_field("BuildID", "build_id", Text),
        go_field("JenkinsBuildID", "jenkins_build_id", Text),
        go_field("PrevReportStates", "prev_report_states", TextMap),
    ],
    embedded: &[],
};

static REFS: GoStruct = GoStruct {
    name: "Refs",
    fields: &[
        go_field("Org", "org", Text),
        go_field("Repo", "repo", Text),
        go_field("RepoLink", "repo_link", Text),
        go_field("BaseRef", "base_ref", Text),
        go_field("BaseSHA", "base_sha", Text),
        go_field("BaseLink", "base_link", Text),
        go_field("Pulls", "pulls", Structs(&PULL)),
        go_field("PathAlias", "path_alias", Text),
        go_field("WorkDir", "workdir", Flag),
        go_field("Auxiliary", "auxiliary", Flag),
        go_field("CloneURI", "clone_uri", Text),
        go_field("SkipSubmodules", "skip_submodules", Flag),
        go_field("CloneDepth", "clone_depth", Number),
        go_field("SkipFetchHead", "skip_fetch_head", Flag),
        go_field("BloblessFetch", "blobless_fetch", Loose),
        go_field("SparseCheckoutFiles", "sparse_checkout_files", Texts),
    ],
    embedded: &[],
};

static PULL: GoStruct = GoStruct {
    name: "Pull",
    fields: &[
        go_field("Number", "number", Number),
        go_field("Author", "author", Text),
        go_field("SHA", "sha", Text),
        go_field("Title", "title", Text),
        go_field("Ref", "ref", Text),
        go_field("HeadRef", "head_ref", Text),
        go_field("Link", "link", Text),
        go_field("CommitLink", "commit_link", Text),
        go_field("AuthorLink", "author_link", Text),
    ],
    embedded: &[],
};

static REPORTER: GoStruct = GoStruct {
    name: "ReporterConfig",
    fields: &[go_field("Slack", "slack", Pointer(&SLACK))],
    embedded: &[],
};

static SLACK: GoStruct = GoStruct {
    name: "SlackReporterConfig",
    fields: &[
        go_field("Host", "host", Text),
        go_field("Channel", "channel", Text),
        go_field("JobStatesToReport", "job_states_to_report", Texts),
        go_field("ReportTemplate", "report_template", Text),
        go_field("Report", "report", Loose),
    ],
    embedded: &[],
};
