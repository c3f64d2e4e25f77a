//! One run of the sidecar: wait, learn the secrets, upload.

use std::fs;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use common::failure_digest::{
    CENSOR_ERROR, CENSOR_IN_CLEAR, CENSOR_LEFT_OUT, CENSORED, NOT_STORED,
};
use common::storage::{ObjectAttributes, content_type, paths};
use entrypoint::WrapperOptions;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::{error, info, warn};

use crate::JobSpec;
use crate::censor::Censor;
use crate::metadata::{self, FinishedMetadata, RunOutcome};
use crate::secrets::KnownSecrets;
use crate::upload::{
    ArtifactPlan, ArtifactWalk, CensorFilter, ObjectUpload, UncensoredFiles, UploadFailures,
    UploadSource, UploadTarget, Uploader, open_below,
};

use super::live::LiveLogs;
use super::markers::{self, ContainerEnd};
use super::options::{SidecarCensoringOptions, SidecarOptions};
use super::own_line;
use super::verdict::judge_codes;

/// Archives censored at once, if the options do not say.
const DEFAULT_CONCURRENCY: usize = 10;
/// Bytes read of a job's metadata, which usually has a few lines.
const METADATA_LIMIT: u64 = 1 << 20;

/// The field of the metadata in which Prow, too, reports errors.
const SIDECAR_ERRORS: &str = "sidecar-errors";

/// What a run works on.
#[derive(Debug)]
pub struct SidecarRun<'a> {
    pub options: &'a SidecarOptions,
    pub spec: &'a JobSpec,
    /// The sidecar's own log, uploaded as `sidecar-logs.json`.
    pub own_log: Option<PathBuf>,
    pub clock: fn() -> Timestamp,
}

/// The inputs of the uploads that follow the logs.
struct RemainingUploads<'a> {
    target: &'a UploadTarget,
    uploader: &'a Uploader,
    censor: &'a Censor,
    /// Files of secrets that are not masked.
    in_clear: Vec<String>,
    outcome: RunOutcome,
    /// Sentences about containers that ended without a code.
    unknown: &'a [String],
}

/// Waits for the test containers and uploads what they left. If `interrupted` completes first,
/// uploads what exists at once, in case the pod is killed before they end.
pub async fn run_sidecar(
    sidecar: SidecarRun<'_>,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode> {
    if sidecar.options.entries.is_empty() {
        bail!("the options name no test container (entries)");
    }
    let target = UploadTarget::new(&sidecar.options.gcs_options, sidecar.spec)?;
    let known = KnownSecrets::default();
    if let Err(reason) = known
        .learn_secrets(&sidecar.options.censoring_options)
        .await
    {
        warn!(reason, "the secrets have to be read later");
    }
    let live = LiveLogs::start_writing(sidecar.options, &target, &known);
    let markers: Vec<PathBuf> = sidecar
        .options
        .entries
        .iter()
        .map(|e| PathBuf::from(&e.marker_file))
        .collect();
    let mut waiting = std::pin::pin!(markers::wait_for_markers(&markers));
    let codes = tokio::select! {
        codes = &mut waiting => codes,
        () = interrupted => {
            if sidecar.options.ignore_interrupts {
                info!("interrupted, waiting on");
                waiting.await
            } else {
                warn!("interrupted, uploading what there is");
                tokio::select! {
                    codes = &mut waiting => codes,
                    () = sidecar.upload_run_files(&target, &known, &live, RunOutcome::Aborted, &[]) => {
                        if !sidecar.any_container_started() {
                            return Ok(ExitCode::SUCCESS);
                        }
                        waiting.await
                    }
                }
            }
        }
    };
    let unknown = sidecar.log_container_ends(&codes);
    let verdict = judge_codes(&codes);
    sidecar
        .upload_run_files(&target, &known, &live, verdict.outcome, &unknown)
        .await;
    let failed = sidecar.options.entry_error && verdict.failures > 0;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl SidecarRun<'_> {
    /// Whether an entrypoint has created its process log.
    fn any_container_started(&self) -> bool {
        let mut entries = self.options.entries.iter();
        entries.any(|entry| fs::symlink_metadata(&entry.process_log).is_ok())
    }

    /// Logs how the containers ended. Returns a sentence about each whose code is unknown; the
    /// sentence is added to its log as well.
    fn log_container_ends(&self, ends: &[ContainerEnd]) -> Vec<String> {
        let mut unknown = Vec::new();
        for (entry, end) in self.options.entries.iter().zip(ends) {
            let container = entry.container_name.as_str();
            match end {
                Ok(code) => info!(code, container, "a test container has ended"),
                Err(why) => {
                    let sentence =
                        format!("Container {container} ended without an exit code: {why}.");
                    error!("{sentence}");
                    if let Err(error) =
                        own_line::append_own_line(&entry.process_log, &sentence, (self.clock)())
                    {
                        warn!(%error, container, "its log does not tell");
                    }
                    unknown.push(sentence);
                }
            }
        }
        unknown
    }

    /// `unknown` are sentences about containers that ended without a code.
    async fn upload_run_files(
        &self,
        target: &UploadTarget,
        known: &KnownSecrets,
        live: &LiveLogs,
        outcome: RunOutcome,
        unknown: &[String],
    ) {
        live.stop_writing();
        let uploader = Uploader::new(target.storage.clone(), self.options.gcs_options.dry_run);
        let (censor, filter) = match self.load_censor(known).await {
            Ok(censoring) => censoring,
            Err(reason) => {
                let metadata = self.uncensored_metadata(&reason, unknown);
                tokio::join!(
                    live.remove_pieces(),
                    self.upload_finished(target, &uploader, outcome, metadata)
                );
                return;
            }
        };
        let concurrency = self.options.censoring_options.config.censoring_concurrency;
        let concurrency = concurrency
            .and_then(|c| usize::try_from(c).ok())
            .filter(|c| *c > 0);
        let uploader = uploader.with_censor(
            censor.clone(),
            &self.temp_dir(),
            concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        );

        // The log goes first, so it is stored whatever happens to the pod or the run's quota.
        let failures = self.upload_logs(target, &uploader).await;
        let stored = failures.total_count() == 0;
        let rest = RemainingUploads {
            target,
            uploader: &uploader,
            censor: &censor,
            in_clear: known.in_clear(),
            outcome,
            unknown,
        };
        // The removal of many pieces takes long, and the result does not wait for it.
        tokio::join!(self.upload_rest(rest, filter, failures), async {
            if stored {
                live.remove_pieces().await;
            }
        });
    }

    /// Uploads artifacts, the own log and, last, the result; `failures` are those of the logs.
    async fn upload_rest(
        &self,
        rest: RemainingUploads<'_>,
        filter: CensorFilter,
        mut failures: UploadFailures,
    ) {
        let RemainingUploads {
            target,
            uploader,
            censor,
            in_clear,
            outcome,
            unknown,
        } = rest;
        let passed_over = UncensoredFiles::default();
        let artifacts = self.upload_artifacts(target, uploader, filter, &passed_over);
        failures.append(artifacts.await);
        let announced = target.upload_alias_and_latest(uploader, (self.clock)());
        failures.append(announced.await);
        let masked = |text: &str| censor.mask_text(text);
        if let Some(summary) = failures.summary_line(&target.dir, masked) {
            error!(count = failures.total_count(), "{summary}");
        }
        failures.append(self.upload_own_log(target, uploader).await);

        let mut metadata = self.collect_metadata(censor, unknown);
        let censored = is_censored(
            &self.options.censoring_options,
            censor,
            passed_over.is_any(),
        );
        metadata.insert(CENSORED.to_owned(), json!(censored));
        let in_clear: Vec<String> = in_clear.iter().map(|name| masked(name)).collect();
        if !in_clear.is_empty() {
            metadata.insert(CENSOR_IN_CLEAR.to_owned(), json!(in_clear));
        }
        let left_out = failures.left_out_lines(&target.dir, masked);
        if !left_out.is_empty() {
            metadata.insert(CENSOR_LEFT_OUT.to_owned(), json!(left_out));
        }
        if let Some(summary) = failures.summary_line(&target.dir, masked) {
            metadata.insert(NOT_STORED.to_owned(), json!(summary));
        }
        self.upload_finished(target, uploader, outcome, metadata)
            .await;
    }

    /// The metadata of a run of which only the result may be shown, with the reason.
    fn uncensored_metadata(&self, reason: &str, unknown: &[String]) -> Map<String, Value> {
        error!(
            reason,
            "nothing can be censored, so nothing is uploaded but the result"
        );
        let mut metadata = Map::from_iter([
            (CENSORED.to_owned(), json!(false)),
            (CENSOR_ERROR.to_owned(), json!(reason)),
        ]);
        if !unknown.is_empty() {
            metadata.insert(SIDECAR_ERRORS.to_owned(), json!(unknown));
        }
        metadata
    }

    /// What to censor, and where. On an error, only the result may be uploaded.
    async fn load_censor(&self, known: &KnownSecrets) -> Result<(Censor, CensorFilter), String> {
        let options = &self.options.censoring_options;
        let filter = CensorFilter::new(
            options
                .config
                .include_directories
                .as_deref()
                .unwrap_or_default(),
            options
                .config
                .exclude_directories
                .as_deref()
                .unwrap_or_default(),
        );
        let filter = filter.map_err(|e| format!("a censoring pattern is not valid: {e}"))?;
        known.learn_secrets(options).await?;
        Ok((known.build_censor(options)?, filter))
    }

    async fn upload_artifacts(
        &self,
        target: &UploadTarget,
        uploader: &Uploader,
        filter: CensorFilter,
        passed_over: &UncensoredFiles,
    ) -> UploadFailures {
        let gcs = &self.options.gcs_options;
        let plan = ArtifactPlan {
            dir: target.dir.clone(),
            config: gcs.config.clone(),
            filter,
            censor: uploader.censor.clone(),
            passed_over: passed_over.clone(),
        };
        uploader
            .upload_artifacts(ArtifactWalk::new(&gcs.items, plan))
            .await
    }

    fn log_upload(&self, key: String, path: PathBuf) -> ObjectUpload {
        let media_types = &self.options.gcs_options.config.media_types;
        ObjectUpload {
            attributes: ObjectAttributes {
                content_type: content_type(&key, media_types),
                ..ObjectAttributes::default()
            },
            key,
            source: UploadSource::Log(path),
        }
    }

    async fn upload_logs(&self, target: &UploadTarget, uploader: &Uploader) -> UploadFailures {
        let containers = self.options.entries.len();
        let uploads = self.options.entries.iter().map(|entry| {
            self.log_upload(
                target.object_key(&paths::build_log(&entry.container_name, containers)),
                PathBuf::from(&entry.process_log),
            )
        });
        let failures = uploader.upload_objects(uploads.collect()).await;
        // A reader who opens the log has to find out why there is none.
        let notes = failures.iter().map(|failure| {
            let note = format!("Failed to open the log: {}\n", failure.reason);
            ObjectUpload::from_text(failure.key.clone(), note)
        });
        // If a note cannot be stored either, `failures` names the log already.
        let _ = uploader.upload_objects(notes.collect()).await;
        failures
    }

    /// Comes after the other uploads, because it reports their failures.
    async fn upload_own_log(&self, target: &UploadTarget, uploader: &Uploader) -> UploadFailures {
        let own = self.own_log.clone();
        let own = own.map(|path| self.log_upload(target.object_key(paths::SIDECAR_LOG), path));
        uploader.upload_objects(own.into_iter().collect()).await
    }

    async fn upload_finished(
        &self,
        target: &UploadTarget,
        uploader: &Uploader,
        outcome: RunOutcome,
        metadata: Map<String, Value>,
    ) {
        let finished = FinishedMetadata::new(self.spec, outcome, metadata, (self.clock)());
        let json = serde_json::to_string(&finished).expect("strings, numbers and JSON are JSON");
        let finished = ObjectUpload::from_text(target.object_key(paths::FINISHED), json);
        for failure in uploader.upload_objects(vec![finished]).await.iter() {
            error!(reason = failure.reason, "the result could not be uploaded");
        }
    }

    /// Merges the masked metadata of all containers.
    fn collect_metadata(&self, censor: &Censor, unknown: &[String]) -> Map<String, Value> {
        let mut merged = Map::new();
        let mut errors = unknown.to_vec();
        for entry in &self.options.entries {
            match read_metadata(entry, censor) {
                Ok(own) => merged.extend(own),
                Err(e) => errors.push(censor.mask_text(&e)),
            }
        }
        // Readers take these fields for the sidecar's own.
        for own in [CENSOR_ERROR, CENSOR_IN_CLEAR, CENSOR_LEFT_OUT, NOT_STORED] {
            merged.remove(own);
        }
        if !errors.is_empty() {
            merged.insert(SIDECAR_ERRORS.to_owned(), json!(errors));
        }
        merged
    }

    /// The folder for temporary files: the logs' volume has room for copies of what it holds.
    fn temp_dir(&self) -> PathBuf {
        let logs = self
            .options
            .entries
            .first()
            .and_then(|e| Path::new(&e.process_log).parent());
        logs.filter(|dir| tempfile::tempfile_in(dir).is_ok())
            .map_or_else(std::env::temp_dir, Path::to_owned)
    }
}

/// What `censored` says: whether everything that was uploaded went through a censor that knows
/// every Secret of the pod's containers.
fn is_censored(options: &SidecarCensoringOptions, censor: &Censor, passed_over: bool) -> bool {
    // Without a secret, a file that was not censored shows none.
    options.every_secret && (censor.is_empty() || !passed_over)
}

/// Reads the object in a container's metadata file; most containers have none.
fn read_metadata(entry: &WrapperOptions, censor: &Censor) -> Result<Map<String, Value>, String> {
    let path = Path::new(&entry.metadata_file);
    if entry.metadata_file.is_empty() || fs::symlink_metadata(path).is_err() {
        return Ok(Map::new());
    }
    let logs = Path::new(&entry.process_log)
        .parent()
        .unwrap_or(Path::new("/"));
    let mut text = Vec::new();
    open_below(path, logs)
        .map_err(|e| format!("{}: {e}", path.display()))?
        .take(METADATA_LIMIT)
        .read_to_end(&mut text)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    metadata::read_masked_metadata(&text, censor)
        .ok_or_else(|| format!("{}: it is not a JSON object", path.display()))
}
