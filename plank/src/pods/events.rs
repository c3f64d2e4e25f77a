//! What a pod's events say of Secrets and `ConfigMap`s that its volumes need: the kubelet says
//! it nowhere else.

use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use super::BuildCluster;

/// Events of one pod that are looked at.
const MAX_EVENTS: u32 = 100;

impl BuildCluster {
    /// The message about a missing Secret or `ConfigMap` of this pod, if there is one. Where
    /// events may not be read, there is none.
    pub(crate) async fn missing_reference(&self, pod_uid: &str) -> Option<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_pod = ListParams::default()
            .fields(&format!("involvedObject.uid={pod_uid}"))
            .limit(MAX_EVENTS);
        match api.list(&of_pod).await {
            Ok(events) => {
                let mut messages = events
                    .items
                    .iter()
                    .filter_map(|event| event.message.as_deref());
                messages
                    .rfind(|message| is_missing(message))
                    .map(str::to_owned)
            }
            Err(error) => {
                tracing::warn!(
                    pod_uid,
                    "the events of a pod that does not start are not read: {error}"
                );
                None
            }
        }
    }
}

/// `MountVolume.SetUp failed for volume "v" : secret "s" not found`, and of keys:
/// `references non-existent secret key: k`.
fn is_missing(message: &str) -> bool {
    let names = |kind: &str| message.contains(&format!("{kind} \""));
    let object = (names("secret") || names("configmap")) && message.contains("not found");
    object || message.contains("references non-existent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_references_count() {
        for (message, missing) in [
            (
                r#"MountVolume.SetUp failed for volume "v" : secret "s" not found"#,
                true,
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : configmap "c" not found"#,
                true,
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : references non-existent secret key: k"#,
                true,
            ),
            (
                r#"MountVolume.SetUp failed for volume "v" : timed out waiting for the condition"#,
                false,
            ),
            (r#"Failed to pull image "secret": not found"#, false),
            ("Successfully assigned test-pods/pj to node", false),
        ] {
            assert_eq!(is_missing(message), missing, "{message}");
        }
    }
}
