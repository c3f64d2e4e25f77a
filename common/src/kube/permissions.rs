//! The permissions that a service needs in its clusters, checked through each cluster's API.
//!
//! Prow checks whether its controller manager and sinker may do what they do with pods, by one
//! `SelfSubjectAccessReview` per verb, and omits a cluster that denies one. Here every service
//! checks everything that it does.

use std::{fmt, sync::Arc};

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

/// The permissions that a service needs, in the namespaces of its `ProwJob`s and of its pods.
#[derive(Clone, Copy, Debug)]
pub struct RequiredPermissions {
    /// The service's name, as in its manifest in `k8s/base`.
    pub service: &'static str,
    /// The permissions in the infrastructure cluster, in `prowjob_namespace`.
    pub infra: &'static [ClusterPermission],
    /// The permissions in each build cluster, in `pod_namespace`; `None` for a service that does
    /// not use build clusters.
    pub build: Option<&'static [ClusterPermission]>,
}

/// The permission to use some verbs on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterPermission {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, with its subresource after a slash.
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
    /// What fails without it. `None`: everything, and the cluster is not used.
    pub only_for: Option<&'static str>,
}

impl ClusterPermission {
    /// A permission that all work depends on.
    pub const fn essential(
        group: &'static str,
        resource: &'static str,
        verbs: &'static [&'static str],
    ) -> Self {
        Self {
            group,
            resource,
            verbs,
            only_for: None,
        }
    }

    /// A permission in the core group without which only `what` fails.
    pub const fn only_for(
        what: &'static str,
        resource: &'static str,
        verbs: &'static [&'static str],
    ) -> Self {
        Self {
            group: "",
            resource,
            verbs,
            only_for: Some(what),
        }
    }
}

/// A permission of which some verbs are not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPermission {
    pub right: ClusterPermission,
    /// The verbs that are not granted.
    pub verbs: Vec<&'static str>,
    pub namespace: Arc<str>,
}

/// `may not delete, watch pods in namespace test-pods`
impl fmt::Display for MissingPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verbs, resource) = (self.verbs.join(", "), self.qualified_resource());
        let namespace = &self.namespace;
        write!(f, "may not {verbs} {resource} in namespace {namespace}")
    }
}

impl MissingPermission {
    /// The form of kubectl and RBAC messages: `prowjobs.prow.k8s.io`, `pods`.
    fn qualified_resource(&self) -> String {
        let (group, resource) = (self.right.group, self.right.resource);
        if group.is_empty() {
            return resource.to_owned();
        }
        format!("{resource}.{group}")
    }

    /// Logs one line about a permission that all work depends on. `cluster` is a build cluster, or
    /// `None` for the infrastructure cluster.
    pub(super) fn log_error(&self, cluster: Option<&str>, service: &str) {
        let what_to_do = what_to_do(service);
        tracing::error!(
            cluster = cluster.unwrap_or(INFRA),
            namespace = self.namespace.as_ref(),
            verb = self.verbs.join(","),
            resource = self.qualified_resource(),
            "missing right, nothing is done in this cluster until it is granted: \
             {service} {self}; {what_to_do}"
        );
    }

    /// Logs one line about a permission that some of the work depends on.
    pub(super) fn log_warning(&self, cluster: Option<&str>, service: &str) {
        let what = self.right.only_for.unwrap_or("all work");
        let what_to_do = what_to_do(service);
        tracing::warn!(
            cluster = cluster.unwrap_or(INFRA),
            namespace = self.namespace.as_ref(),
            verb = self.verbs.join(","),
            resource = self.qualified_resource(),
            "missing right, there is no {what} in this cluster: {service} {self}; {what_to_do}"
        );
    }
}

/// The name of the infrastructure cluster in log lines.
const INFRA: &str = "the infrastructure cluster";

fn what_to_do(service: &str) -> String {
    format!("grant it with a Role and a RoleBinding there, as k8s/base/{service}.yaml does")
}

/// Which of `rights` are missing. An API without access reviews counts as granting all.
pub(super) async fn find_missing_permissions(
    client: &Client,
    namespace: &Arc<str>,
    rights: &'static [ClusterPermission],
) -> kube::Result<Vec<MissingPermission>> {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut asked: Vec<(ClusterPermission, &'static str)> = Vec::new();
    for right in rights {
        asked.extend(right.verbs.iter().map(|verb| (*right, *verb)));
    }
    let mut reviews = Vec::new();
    for (right, verb) in &asked {
        reviews.push(is_allowed(
            api.clone(),
            access_review(namespace, right, verb),
        ));
    }
    let answers = join_all(reviews).await;
    let mut all: Vec<MissingPermission> = Vec::new();
    for ((right, verb), allowed) in asked.into_iter().zip(answers) {
        if allowed? {
            continue;
        }
        match all.iter_mut().find(|missing| missing.right == right) {
            Some(missing) => missing.verbs.push(verb),
            None => all.push(MissingPermission {
                right,
                verbs: vec![verb],
                namespace: Arc::clone(namespace),
            }),
        }
    }
    Ok(all)
}

async fn is_allowed(
    api: Api<SelfSubjectAccessReview>,
    review: SelfSubjectAccessReview,
) -> kube::Result<bool> {
    match api.create(&PostParams::default(), &review).await {
        Ok(answer) => Ok(answer.status.is_some_and(|status| status.allowed)),
        // The API does not say, or does not tell this service: assume yes, the work will show it.
        Err(kube::Error::Api(status)) if matches!(status.code, 403..=405) => Ok(true),
        Err(error) => Err(error),
    }
}

fn access_review(
    namespace: &str,
    right: &ClusterPermission,
    verb: &str,
) -> SelfSubjectAccessReview {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let text = |text: &str| Some(text.to_owned());
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: text(namespace),
                group: text(right.group),
                resource: text(resource),
                subresource,
                verb: text(verb),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}
