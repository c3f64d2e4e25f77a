//! The table of Kubernetes' own kinds.
//!
//! Only `CustomResourceDefinition`, Pod, Namespace, Lease and Event have behaviour. The others are
//! stored only, so that manifests apply.

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

/// Kubernetes' own type for a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuiltinType {
    /// Reads an object into the type and writes it again. Wrong types are refused, unknown fields
    /// dropped.
    pub(crate) round_trip: fn(Value) -> serde_json::Result<Value>,
    /// Adds the schemas of the type and of all types it contains. Returns the type's name among
    /// them.
    pub(crate) describe: fn(&mut SchemaGenerator) -> Cow<'static, str>,
}

/// One built-in kind.
#[derive(Debug)]
pub(crate) struct BuiltinKind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short_names: &'static str,
    pub(crate) categories: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) status: bool,
    pub(crate) of: BuiltinType,
}

fn round_trip<T: DeserializeOwned + Serialize>(value: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

fn describe_type<T: JsonSchema>(generator: &mut SchemaGenerator) -> Cow<'static, str> {
    generator.subschema_for::<T>();
    T::schema_name()
}

const fn define_kind<T: DeserializeOwned + Serialize + JsonSchema>(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static str,
) -> BuiltinKind {
    let (version, categories, namespaced, status) = ("v1", "", true, false);
    BuiltinKind {
        group,
        version,
        kind,
        plural,
        short_names,
        categories,
        namespaced,
        status,
        of: BuiltinType {
            round_trip: round_trip::<T>,
            describe: describe_type::<T>,
        },
    }
}

impl BuiltinKind {
    const fn cluster_scoped(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    /// Shown by `kubectl get all`.
    const fn in_category_all(mut self) -> Self {
        self.categories = "all";
        self
    }

    const fn with_version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }
}

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

pub(crate) const BUILTIN_KINDS: &[BuiltinKind] = &[
    define_kind::<core::Pod>("", "Pod", "pods", "po")
        .with_status()
        .in_category_all(),
    define_kind::<core::Namespace>("", "Namespace", "namespaces", "ns")
        .cluster_scoped()
        .with_status(),
    define_kind::<core::Secret>("", "Secret", "secrets", ""),
    define_kind::<core::ConfigMap>("", "ConfigMap", "configmaps", "cm"),
    define_kind::<core::Service>("", "Service", "services", "svc")
        .with_status()
        .in_category_all(),
    define_kind::<core::ServiceAccount>("", "ServiceAccount", "serviceaccounts", "sa"),
    define_kind::<core::Event>("", "Event", "events", "ev"),
    define_kind::<core::PersistentVolumeClaim>(
        "",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "pvc",
    )
    .with_status(),
    define_kind::<core::PersistentVolume>("", "PersistentVolume", "persistentvolumes", "pv")
        .cluster_scoped()
        .with_status(),
    define_kind::<core::Node>("", "Node", "nodes", "no")
        .cluster_scoped()
        .with_status(),
    define_kind::<core::Endpoints>("", "Endpoints", "endpoints", "ep"),
    define_kind::<core::LimitRange>("", "LimitRange", "limitranges", "limits"),
    define_kind::<core::ResourceQuota>("", "ResourceQuota", "resourcequotas", "quota")
        .with_status(),
    define_kind::<core::ReplicationController>(
        "",
        "ReplicationController",
        "replicationcontrollers",
        "rc",
    )
    .with_status()
    .in_category_all(),
    define_kind::<apps::Deployment>("apps", "Deployment", "deployments", "deploy")
        .with_status()
        .in_category_all(),
    define_kind::<apps::ReplicaSet>("apps", "ReplicaSet", "replicasets", "rs")
        .with_status()
        .in_category_all(),
    define_kind::<apps::StatefulSet>("apps", "StatefulSet", "statefulsets", "sts")
        .with_status()
        .in_category_all(),
    define_kind::<apps::DaemonSet>("apps", "DaemonSet", "daemonsets", "ds")
        .with_status()
        .in_category_all(),
    define_kind::<batch::Job>("batch", "Job", "jobs", "")
        .with_status()
        .in_category_all(),
    define_kind::<batch::CronJob>("batch", "CronJob", "cronjobs", "cj")
        .with_status()
        .in_category_all(),
    define_kind::<autoscaling::HorizontalPodAutoscaler>(
        "autoscaling",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "hpa",
    )
    .with_version("v2")
    .with_status()
    .in_category_all(),
    define_kind::<policy::PodDisruptionBudget>(
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "pdb",
    )
    .with_status(),
    define_kind::<coordination::Lease>("coordination.k8s.io", "Lease", "leases", ""),
    define_kind::<rbac::Role>(RBAC_GROUP, "Role", "roles", ""),
    define_kind::<rbac::RoleBinding>(RBAC_GROUP, "RoleBinding", "rolebindings", ""),
    define_kind::<rbac::ClusterRole>(RBAC_GROUP, "ClusterRole", "clusterroles", "")
        .cluster_scoped(),
    define_kind::<rbac::ClusterRoleBinding>(
        RBAC_GROUP,
        "ClusterRoleBinding",
        "clusterrolebindings",
        "",
    )
    .cluster_scoped(),
    define_kind::<networking::NetworkPolicy>(
        "networking.k8s.io",
        "NetworkPolicy",
        "networkpolicies",
        "netpol",
    ),
    define_kind::<networking::Ingress>("networking.k8s.io", "Ingress", "ingresses", "ing")
        .with_status(),
    define_kind::<networking::IngressClass>(
        "networking.k8s.io",
        "IngressClass",
        "ingressclasses",
        "",
    )
    .cluster_scoped(),
    define_kind::<storage::StorageClass>("storage.k8s.io", "StorageClass", "storageclasses", "sc")
        .cluster_scoped(),
    define_kind::<scheduling::PriorityClass>(
        "scheduling.k8s.io",
        "PriorityClass",
        "priorityclasses",
        "pc",
    )
    .cluster_scoped(),
    define_kind::<CustomResourceDefinition>(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds",
    )
    .cluster_scoped()
    .with_status(),
];
