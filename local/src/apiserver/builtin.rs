//! The table of Kubernetes' own kinds.
//!
//! Only `CustomResourceDefinition`, Pod, Namespace, Lease and Event behave; the rest is stored, so that manifests apply.

use std::borrow::Cow;

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch,
    coordination::v1 as coordination, core::v1 as core, networking::v1 as networking,
    policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Kubernetes' own type of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    /// Reads an object into the type and writes it again: wrong types are refused, unknown fields fall away.
    pub(crate) round_trip: fn(Value) -> serde_json::Result<Value>,
    /// Adds the schema of the type, and of all it is made of; returns the type's name among them.
    pub(crate) describe: fn(&mut SchemaGenerator) -> Cow<'static, str>,
}

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
    pub(crate) of: Type,
}

fn round_trip<T: DeserializeOwned + Serialize>(value: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

fn describe<T: JsonSchema>(generator: &mut SchemaGenerator) -> Cow<'static, str> {
    generator.subschema_for::<T>();
    T::schema_name()
}

const fn entry<T: DeserializeOwned + Serialize + JsonSchema>(
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
        of: Type {
            round_trip: round_trip::<T>,
            describe: describe::<T>,
        },
    }
}

impl Entry {
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
    entry::<core::Pod>("", "Pod", "pods", "po")
        .with_status()
        .in_all(),
    entry::<core::Namespace>("", "Namespace", "namespaces", "ns")
        .cluster()
        .with_status(),
    entry::<core::Secret>("", "Secret", "secrets", ""),
    entry::<core::ConfigMap>("", "ConfigMap", "configmaps", "cm"),
    entry::<core::Service>("", "Service", "services", "svc")
        .with_status()
        .in_all(),
    entry::<core::ServiceAccount>("", "ServiceAccount", "serviceaccounts", "sa"),
    entry::<core::Event>("", "Event", "events", "ev"),
    entry::<core::PersistentVolumeClaim>(
        "",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "pvc",
    )
    .with_status(),
    entry::<core::PersistentVolume>("", "PersistentVolume", "persistentvolumes", "pv")
        .cluster()
        .with_status(),
    entry::<core::Node>("", "Node", "nodes", "no")
        .cluster()
        .with_status(),
    entry::<core::Endpoints>("", "Endpoints", "endpoints", "ep"),
    entry::<core::LimitRange>("", "LimitRange", "limitranges", "limits"),
    entry::<core::ResourceQuota>("", "ResourceQuota", "resourcequotas", "quota").with_status(),
    entry::<core::ReplicationController>(
        "",
        "ReplicationController",
        "replicationcontrollers",
        "rc",
    )
    .with_status()
    .in_all(),
    entry::<apps::Deployment>("apps", "Deployment", "deployments", "deploy")
        .with_status()
        .in_all(),
    entry::<apps::ReplicaSet>("apps", "ReplicaSet", "replicasets", "rs")
        .with_status()
        .in_all(),
    entry::<apps::StatefulSet>("apps", "StatefulSet", "statefulsets", "sts")
        .with_status()
        .in_all(),
    entry::<apps::DaemonSet>("apps", "DaemonSet", "daemonsets", "ds")
        .with_status()
        .in_all(),
    entry::<batch::Job>("batch", "Job", "jobs", "")
        .with_status()
        .in_all(),
    entry::<batch::CronJob>("batch", "CronJob", "cronjobs", "cj")
        .with_status()
        .in_all(),
    entry::<autoscaling::HorizontalPodAutoscaler>(
        "autoscaling",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "hpa",
    )
    .version("v2")
    .with_status()
    .in_all(),
    entry::<policy::PodDisruptionBudget>(
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "pdb",
    )
    .with_status(),
    entry::<coordination::Lease>("coordination.k8s.io", "Lease", "leases", ""),
    entry::<rbac::Role>(RBAC, "Role", "roles", ""),
    entry::<rbac::RoleBinding>(RBAC, "RoleBinding", "rolebindings", ""),
    entry::<rbac::ClusterRole>(RBAC, "ClusterRole", "clusterroles", "").cluster(),
    entry::<rbac::ClusterRoleBinding>(RBAC, "ClusterRoleBinding", "clusterrolebindings", "")
        .cluster(),
    entry::<networking::NetworkPolicy>(
        "networking.k8s.io",
        "NetworkPolicy",
        "networkpolicies",
        "netpol",
    ),
    entry::<networking::Ingress>("networking.k8s.io", "Ingress", "ingresses", "ing").with_status(),
    entry::<networking::IngressClass>("networking.k8s.io", "IngressClass", "ingressclasses", "")
        .cluster(),
    entry::<storage::StorageClass>("storage.k8s.io", "StorageClass", "storageclasses", "sc")
        .cluster(),
    entry::<scheduling::PriorityClass>(
        "scheduling.k8s.io",
        "PriorityClass",
        "priorityclasses",
        "pc",
    )
    .cluster(),
    entry::<CustomResourceDefinition>(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds",
    )
    .cluster()
    .with_status(),
];
