//! The init container in which a pod failed, and its last error.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus};
use podutils::{clonerefs, initupload};
use serde_json::Value;

use super::pruned_pod::PrunedContainer;

/// The init containers of decoration. Their output is ours and holds nothing of the job's; the
/// output of other init containers may hold secrets and is not kept.
pub const UTILITIES: [&str; 3] = ["clonerefs", "initupload", "place-entrypoint"];

/// An init container that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedInit {
    pub name: String,
    pub exit_code: i32,
    /// The pod utility's last error; empty if it is not known.
    pub said: String,
}

/// The first init container that failed.
pub(super) fn find_failed_init(
    statuses: &[ContainerStatus],
    specs: &[PrunedContainer],
) -> Option<FailedInit> {
    statuses.iter().find_map(|status| {
        let ended = status.state.as_ref()?.terminated.as_ref()?;
        let spec = specs.iter().find(|spec| spec.name == status.name);
        let is_ours =
            UTILITIES.contains(&status.name.as_str()) && spec.is_none_or(is_utility_container);
        (ended.exit_code != 0).then(|| FailedInit {
            name: status.name.clone(),
            exit_code: ended.exit_code,
            said: if is_ours {
                last_error_message(ended)
            } else {
                String::new()
            },
        })
    })
}

/// Looks at the options: a job's own container may have the name of a utility.
fn is_utility_container(container: &PrunedContainer) -> bool {
    match container.name.as_str() {
        "clonerefs" => container.has_variable(clonerefs::ClonerefsOptions::ENV),
        "initupload" => container.has_variable(initupload::InituploadOptions::ENV),
        _ => true,
    }
}

fn last_error_message(ended: &ContainerStateTerminated) -> String {
    let message = ended.message.as_deref().unwrap_or_default();
    message
        .lines()
        .rev()
        .find_map(parse_log_error)
        .unwrap_or_default()
}

/// The message of a line of JSON logs, if it is an error; from our programs or Prow's.
fn parse_log_error(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| line[name].as_str().unwrap_or_default();
    if !["error", "fatal", "panic"].contains(&field("level")) {
        return None;
    }
    let parts = [field("msg"), field("error")];
    let parts: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
    Some(parts.join(": ")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, variable: &str, exit_code: i32, message: &str) -> Option<FailedInit> {
        let passed = json!({"name": "clonerefs", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0}}});
        let failed = json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "message": message}}});
        let statuses = [passed, failed].map(|status| serde_json::from_value(status).unwrap());
        let spec = json!({"name": name, "env": [{"name": variable, "value": "{}"}]});
        find_failed_init(&statuses, &[serde_json::from_value(spec).unwrap()])
    }

    #[test]
    fn the_last_error_of_a_utility_is_its_reason() {
        let ours = concat!(
            r#"{"component":"initupload","level":"info","msg":"uploading"}"#,
            "\n",
            r#"{"component":"initupload","level":"error","log":"x/clone-log.txt","msg":"conflict in a with main: rebase #7"}"#,
            "\n",
        );
        let upstreams = r#"{"component":"initupload","error":"cloning the appropriate refs failed","level":"fatal","msg":"Failed to initialize job"}"#;
        let options = initupload::InituploadOptions::ENV;
        for (name, message, said) in [
            ("initupload", ours, "conflict in a with main: rebase #7"),
            (
                "initupload",
                upstreams,
                "Failed to initialize job: cloning the appropriate refs failed",
            ),
            ("initupload", "no JSON", ""),
            ("setup", ours, ""),
        ] {
            let failed = of(name, options, 1, message).unwrap();
            assert_eq!((failed.name.as_str(), failed.said.as_str()), (name, said));
        }
        assert_eq!(of("initupload", options, 0, ours), None);
        let of_a_job = of("initupload", "MINE", 1, ours).unwrap();
        assert_eq!(of_a_job.said, "");
    }
}
