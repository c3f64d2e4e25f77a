//! `--local`: a pod for a cluster at hand, which lacks the secrets of the real one.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use serde_json::{Value, json};

const PROMPT: &str = "\
For each of the following volumes specify one of:
 - 'empty' to use an emptyDir;
 - a path on the host to use hostPath;
 - '' (nothing) to use the existing volume source and assume it is available in the cluster
";

/// The folder that results are copied to.
pub(super) fn results_folder(
    given: Option<&Path>,
    job: &str,
    build_id: &str,
) -> anyhow::Result<String> {
    let folder = match given {
        Some(folder) => folder.join(build_id),
        None => tempfile::Builder::new()
            .prefix(&format!("prowjob-out-{job}-{build_id}"))
            .tempdir()?
            .keep(),
    };
    let folder = folder.display().to_string();
    Ok(folder.trim_end_matches('/').to_owned())
}

/// Asks what replaces each volume that the cluster may not have.
pub(super) fn replace_volumes(
    pod: &mut Value,
    answers: &mut impl BufRead,
    terminal: &mut impl Write,
) -> anyhow::Result<()> {
    let volumes = pod["spec"]["volumes"].as_array_mut();
    let foreign: Vec<&mut Value> = volumes
        .into_iter()
        .flatten()
        .filter(|volume| volume.get("hostPath").is_none() && volume.get("emptyDir").is_none())
        .collect();
    if !foreign.is_empty() {
        terminal.write_all(PROMPT.as_bytes())?;
    }
    for volume in foreign {
        let name = volume["name"].as_str().unwrap_or_default().to_owned();
        write!(terminal, "Volume {name:?}: ")?;
        terminal.flush()?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        match answer.trim() {
            "" => {}
            word if matches!(word.to_ascii_lowercase().as_str(), "empty" | "emptydir") => {
                *volume = json!({"name": name, "emptyDir": {}});
            }
            path => *volume = json!({"name": name, "hostPath": {"path": path}}),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_replaced_as_answered() {
        let secret = |name: &str| json!({"name": name, "secret": {"secretName": "s"}});
        let mut pod = json!({"spec": {"volumes": [
            {"name": "logs", "emptyDir": {}}, secret("a"), secret("b"), secret("c"), secret("d"),
        ]}});
        let mut asked = Vec::new();
        replace_volumes(&mut pod, &mut "empty\n/tmp/b\n\n".as_bytes(), &mut asked).unwrap();
        assert_eq!(
            pod["spec"]["volumes"],
            json!([
                {"name": "logs", "emptyDir": {}},
                {"name": "a", "emptyDir": {}},
                {"name": "b", "hostPath": {"path": "/tmp/b"}},
                secret("c"),
                secret("d"),
            ])
        );
        let asked = String::from_utf8(asked).unwrap();
        assert!(
            asked.starts_with(PROMPT) && !asked.contains("logs"),
            "{asked}"
        );
    }

    #[test]
    fn results_of_a_run_have_their_own_folder() {
        assert_eq!(
            results_folder(Some(Path::new("/out")), "unit", "7").unwrap(),
            "/out/7"
        );
        assert_eq!(
            results_folder(Some(Path::new("/out")), "unit", "").unwrap(),
            "/out"
        );
        let made = results_folder(None, "unit", "7").unwrap();
        assert!(made.contains("prowjob-out-unit-7"), "{made}");
        std::fs::remove_dir(made).unwrap();
    }
}
