//! The table of Kubernetes' own kinds.
//!
//! Only `CustomResourceDefinition`, Pod, Namespace and Lease behave; the rest is stored, so that manifests apply.

use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
    networking::v1 as networking, rbac::v1 as rbac,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Reads an object into its type and writes it again: wrong types are refused, unknown fields fall away.
pub(crate) type RoundTrip = fn(Value) -> serde_json::Result<Value>;

/// One built-in kind.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short_names: &'static str,
    pub(crate) categories: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) status: bool,
    pub(crate) round_trip: Option<RoundTrip>,
}

fn round_trip<T: DeserializeOwned + Serialize>(value: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

const fn entry(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static str,
) -> Entry {
    let (version, categories, namespaced, status) = ("v1", "", true, false);
    Entry {
        group,
        version,
        kind,
        plural,
        short_names,
        categories,
        namespaced,
        status,
        round_trip: None,
    }
}

impl Entry {
    const fn typed<T: DeserializeOwned + Serialize>(mut self) -> Self {
        self.round_trip = Some(round_trip::<T>);
        self
    }

    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    /// Shown by `kubectl get all`.
    const fn in_all(mut self) -> Self {
        self.categories = "all";
        self
    }

    const fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

pub(crate) const ENTRIES: &[Entry] = &[
    entry("", "Pod", "pods", "po")
        .typed::<core::Pod>()
        .with_status()
        .in_all(),
    entry("", "Namespace", "namespaces", "ns")
        .typed::<core::Namespace>()
        .cluster()
        .with_status(),
    entry("", "Secret", "secrets", "").typed::<core::Secret>(),
    entry("", "ConfigMap", "configmaps", "cm").typed::<core::ConfigMap>(),
    entry("", "Service", "services", "svc")
        .typed::<core::Service>()
        .with_status()
        .in_all(),
    entry("", "ServiceAccount", "serviceaccounts", "sa").typed::<core::ServiceAccount>(),
    entry("", "Event", "events", "ev").typed::<core::Event>(),
    entry("", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc")
        .typed::<core::PersistentVolumeClaim>()
        .with_status(),
    entry("", "PersistentVolume", "persistentvolumes", "pv")
        .cluster()
        .with_status(),
    entry("", "Node", "nodes", "no").cluster().with_status(),
    entry("", "Endpoints", "endpoints", "ep"),
    entry("", "LimitRange", "limitranges", "limits"),
    entry("", "ResourceQuota", "resourcequotas", "quota").with_status(),
    entry("", "ReplicationController", "replicationcontrollers", "rc")
        .with_status()
        .in_all(),
    entry("apps", "Deployment", "deployments", "deploy")
        .typed::<apps::Deployment>()
        .with_status()
        .in_all(),
    entry("apps", "ReplicaSet", "replicasets", "rs")
        .with_status()
        .in_all(),
    entry("apps", "StatefulSet", "statefulsets", "sts")
        .typed::<apps::StatefulSet>()
        .with_status()
        .in_all(),
    entry("apps", "DaemonSet", "daemonsets", "ds")
        .with_status()
        .in_all(),
    entry("batch", "Job", "jobs", "").with_status().in_all(),
    entry("batch", "CronJob", "cronjobs", "cj")
        .typed::<batch::CronJob>()
        .with_status()
        .in_all(),
    entry(
        "autoscaling",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "hpa",
    )
    .version("v2")
    .with_status()
    .in_all(),
    entry(
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "pdb",
    )
    .with_status(),
    entry("coordination.k8s.io", "Lease", "leases", "").typed::<coordination::Lease>(),
    entry(RBAC, "Role", "roles", "").typed::<rbac::Role>(),
    entry(RBAC, "RoleBinding", "rolebindings", "").typed::<rbac::RoleBinding>(),
    entry(RBAC, "ClusterRole", "clusterroles", "")
        .typed::<rbac::ClusterRole>()
        .cluster(),
    entry(RBAC, "ClusterRoleBinding", "clusterrolebindings", "")
        .typed::<rbac::ClusterRoleBinding>()
        .cluster(),
    entry(
        "networking.k8s.io",
        "NetworkPolicy",
        "networkpolicies",
        "netpol",
    )
    .typed::<networking::NetworkPolicy>(),
    entry("networking.k8s.io", "Ingress", "ingresses", "ing")
        .typed::<networking::Ingress>()
        .with_status(),
    entry("networking.k8s.io", "IngressClass", "ingressclasses", "").cluster(),
    entry("storage.k8s.io", "StorageClass", "storageclasses", "sc").cluster(),
    entry(
        "scheduling.k8s.io",
        "PriorityClass",
        "priorityclasses",
        "pc",
    )
    .cluster(),
    entry(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds",
    )
    .typed::<CustomResourceDefinition>()
    .cluster()
    .with_status(),
];
