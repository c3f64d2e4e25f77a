//! The fields of a `ProwJob` under their Go names, from upstream's `prowjobs/v1/types.go`.

/// A Go struct.
pub(super) struct Struct {
    /// As in Go, for messages; an embedded struct's is its field name.
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
    /// By their key in JSON. Their fields are reachable without their name too.
    pub(super) embedded: &'static [(&'static str, &'static Struct)],
}

/// A field of a struct.
pub(super) struct Field {
    pub(super) go: &'static str,
    pub(super) json: &'static str,
    pub(super) kind: Kind,
}

/// What a field holds, and so what it is when JSON leaves it out.
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    Time,
    TimePointer,
    Texts,
    TextMap,
    Struct(&'static Struct),
    Structs(&'static Struct),
    Pointer(&'static Struct),
    /// Anything, nil when left out.
    Loose,
}

use Kind::{
    Flag, Loose, Number, Pointer, Struct as Nested, Structs, Text, TextMap, Texts, Time,
    TimePointer,
};

const fn field(go: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { go, json, kind }
}

pub(super) static PROW_JOB: Struct = Struct {
    name: "ProwJob",
    fields: &[
        field("Kind", "kind", Text),
        field("APIVersion", "apiVersion", Text),
        field("Spec", "spec", Nested(&SPEC)),
        field("Status", "status", Nested(&STATUS)),
    ],
    embedded: &[("metadata", &OBJECT_META)],
};

static OBJECT_META: Struct = Struct {
    name: "ObjectMeta",
    fields: &[
        field("Name", "name", Text),
        field("GenerateName", "generateName", Text),
        field("Namespace", "namespace", Text),
        field("UID", "uid", Text),
        field("ResourceVersion", "resourceVersion", Text),
        field("Generation", "generation", Number),
        field("CreationTimestamp", "creationTimestamp", Time),
        field("DeletionTimestamp", "deletionTimestamp", TimePointer),
        field("Labels", "labels", TextMap),
        field("Annotations", "annotations", TextMap),
        field("Finalizers", "finalizers", Texts),
    ],
    embedded: &[],
};

static SPEC: Struct = Struct {
    name: "ProwJobSpec",
    fields: &[
        field("Type", "type", Text),
        field("Agent", "agent", Text),
        field("Cluster", "cluster", Text),
        field("Namespace", "namespace", Text),
        field("Job", "job", Text),
        field("Refs", "refs", Pointer(&REFS)),
        field("ExtraRefs", "extra_refs", Structs(&REFS)),
        field("Report", "report", Flag),
        field("Context", "context", Text),
        field("RerunCommand", "rerun_command", Text),
        field("MaxConcurrency", "max_concurrency", Number),
        field("ErrorOnEviction", "error_on_eviction", Flag),
        field("PodSpec", "pod_spec", Loose),
        field("JenkinsSpec", "jenkins_spec", Loose),
        field("PipelineRunSpec", "pipeline_run_spec", Loose),
        field("TektonPipelineRunSpec", "tekton_pipeline_run_spec", Loose),
        field("DecorationConfig", "decoration_config", Loose),
        field("ReporterConfig", "reporter_config", Pointer(&REPORTER)),
        field("RerunAuthConfig", "rerun_auth_config", Loose),
        field("Hidden", "hidden", Flag),
        field("ProwJobDefault", "prowjob_defaults", Loose),
        field("JobQueueName", "job_queue_name", Text),
    ],
    embedded: &[],
};

static STATUS: Struct = Struct {
    name: "ProwJobStatus",
    fields: &[
        field("StartTime", "startTime", Time),
        field("PendingTime", "pendingTime", TimePointer),
        field("CompletionTime", "completionTime", TimePointer),
        field("State", "state", Text),
        field("Description", "description", Text),
        field("URL", "url", Text),
        field("PodRevivalCount", "pod_revival_count", Number),
        field("PodName", "pod_name", Text),
        field("BuildID", "build_id", Text),
        field("JenkinsBuildID", "jenkins_build_id", Text),
        field("PrevReportStates", "prev_report_states", TextMap),
    ],
    embedded: &[],
};

static REFS: Struct = Struct {
    name: "Refs",
    fields: &[
        field("Org", "org", Text),
        field("Repo", "repo", Text),
        field("RepoLink", "repo_link", Text),
        field("BaseRef", "base_ref", Text),
        field("BaseSHA", "base_sha", Text),
        field("BaseLink", "base_link", Text),
        field("Pulls", "pulls", Structs(&PULL)),
        field("PathAlias", "path_alias", Text),
        field("WorkDir", "workdir", Flag),
        field("Auxiliary", "auxiliary", Flag),
        field("CloneURI", "clone_uri", Text),
        field("SkipSubmodules", "skip_submodules", Flag),
        field("CloneDepth", "clone_depth", Number),
        field("SkipFetchHead", "skip_fetch_head", Flag),
        field("BloblessFetch", "blobless_fetch", Loose),
        field("SparseCheckoutFiles", "sparse_checkout_files", Texts),
    ],
    embedded: &[],
};

static PULL: Struct = Struct {
    name: "Pull",
    fields: &[
        field("Number", "number", Number),
        field("Author", "author", Text),
        field("SHA", "sha", Text),
        field("Title", "title", Text),
        field("Ref", "ref", Text),
        field("HeadRef", "head_ref", Text),
        field("Link", "link", Text),
        field("CommitLink", "commit_link", Text),
        field("AuthorLink", "author_link", Text),
    ],
    embedded: &[],
};

static REPORTER: Struct = Struct {
    name: "ReporterConfig",
    fields: &[field("Slack", "slack", Pointer(&SLACK))],
    embedded: &[],
};

static SLACK: Struct = Struct {
    name: "SlackReporterConfig",
    fields: &[
        field("Host", "host", Text),
        field("Channel", "channel", Text),
        field("JobStatesToReport", "job_states_to_report", Texts),
        field("ReportTemplate", "report_template", Text),
        field("Report", "report", Loose),
    ],
    embedded: &[],
};
