//! Applies Pod Security's profile "restricted" to the containers that decoration adds, so that a
//! job whose own containers keep it is admitted where it is enforced.
//!
//! Only in a pod that does not run as root: other users lose nothing without capabilities, but root
//! without them could not read what a test wrote as another user. Prow sets nothing here.
//!
//! The images of the utilities run as root, like Prow's: so git accepts the clone as its user's
//! own, a private key may be readable by its owner alone, and whatever a test wrote can be read. A
//! user that the pod or the decoration sets applies to them, too, as to every container of the pod.

use serde_json::{Value, json};

use super::{
    DecorateError,
    json::{SpecObject, object_mut, objects_mut, str_field},
};

const UTILITIES: [&str; 4] = ["clonerefs", "initupload", "place-entrypoint", "sidecar"];

/// The user of the utilities in a pod that must not run as root and names no user.
const NOBODY: i64 = 65532;

/// Runs after the pod's own security context and all containers are set.
pub(super) fn restrict_utilities(spec: &mut SpecObject) -> Result<(), DecorateError> {
    let pod = object_mut(spec, "securityContext")?;
    let user = pod.get("runAsUser").and_then(Value::as_i64);
    let never_root = pod.get("runAsNonRoot") == Some(&Value::Bool(true));
    if user == Some(0) || (user.is_none() && !never_root) {
        return Ok(());
    }
    // https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    if user.is_none() {
        context["runAsUser"] = NOBODY.into();
    }
    for group in ["initContainers", "containers"] {
        for container in objects_mut(spec, group)? {
            if UTILITIES.contains(&str_field(container, "name")) {
                container.insert("securityContext".into(), context.clone());
            }
        }
    }
    Ok(())
}
