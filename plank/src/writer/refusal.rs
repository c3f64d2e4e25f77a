//! Explains why the API refuses a pod, and what to do about it.

use kube::core::Status;

/// A sentence for the author of the job.
pub(super) fn describe_refusal(status: &Status) -> String {
    let message = status.message.as_str();
    if let Some(sentence) = describe_pod_security(message) {
        return sentence;
    }
    // `pods is forbidden: User "x" cannot create resource "pods" in API group "" in the namespace
    // "y"`
    if status.code == 403 && message.contains("cannot create resource") {
        return format!("{message}. Give plank's account that right.");
    }
    message.to_owned()
}

/// `pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or
/// container "test" must set securityContext.runAsNonRoot=true), …`: what is in parentheses says
/// what to set, see `k8s.io/pod-security-admission/policy`.
fn describe_pod_security(message: &str) -> Option<String> {
    let (_, violation) = message.split_once("violates PodSecurity ")?;
    let (level, violations) = violation.split_once(": ")?;
    let mut wishes = Vec::new();
    let mut rest = violations;
    while let Some((_, after)) = rest.split_once('(') {
        let (wish, after) = after.split_once(')')?;
        wishes.push(wish);
        rest = after;
    }
    let wishes = match wishes.as_slice() {
        [] => violations.to_owned(),
        wishes => wishes.join("; "),
    };
    Some(format!(
        "Pod Security {level} of the pods' namespace forbids it. In the job's pod_spec, {wishes}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, message: &str) -> String {
        describe_refusal(&Status {
            code,
            message: message.into(),
            ..Status::default()
        })
    }

    #[test]
    fn pod_security_is_told_with_the_fields_to_set() {
        let message = "pods \"pj\" is forbidden: violates PodSecurity \"restricted:latest\": \
            allowPrivilegeEscalation != false (container \"test\" must set \
            securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or \
            container \"test\" must set securityContext.runAsNonRoot=true)";
        assert_eq!(
            of(403, message),
            "Pod Security \"restricted:latest\" of the pods' namespace forbids it. In the job's \
             pod_spec, container \"test\" must set securityContext.allowPrivilegeEscalation=false; \
             pod or container \"test\" must set securityContext.runAsNonRoot=true."
        );
        let bare =
            "pods \"pj\" is forbidden: violates PodSecurity \"baseline:v1\": host namespaces";
        assert_eq!(
            of(403, bare),
            "Pod Security \"baseline:v1\" of the pods' namespace forbids it. In the job's \
             pod_spec, host namespaces."
        );
    }

    #[test]
    fn a_missing_right_says_whose() {
        let message = "pods is forbidden: User \"plank\" cannot create resource \"pods\" in API \
            group \"\" in the namespace \"test-pods\"";
        assert_eq!(
            of(403, message),
            format!("{message}. Give plank's account that right.")
        );
        assert_eq!(of(422, "spec.x: Invalid value"), "spec.x: Invalid value");
    }
}
