//! Horologium's flags.

use common::{config, duration::GoDuration, kube, service};

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct HorologiumOptions {
    /// Log what would be created, create nothing.
    #[arg(
        long,
        value_parser = service::flags::parse_bool,
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dry_run: bool,
    /// Listing the `ProwJob`s at the start may take this long.
    #[arg(long, default_value = "60s")]
    pub timeout_listing_prowjobs: GoDuration,
    #[command(flatten)]
    pub config: config::ConfigOptions,
    #[command(flatten)]
    pub kubernetes: kube::KubernetesOptions,
    #[command(flatten)]
    pub leader_election: service::lease::LeaderElectionOptions,
    #[command(flatten)]
    pub instrumentation: service::InstrumentationOptions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_prows() {
        let read = |args: &[&str]| -> HorologiumOptions {
            let args = args.iter().map(Into::into);
            service::flags::parse_flags("horologium", args).unwrap()
        };
        let options = read(&["--config-path=c.yaml"]);
        assert!(options.dry_run);
        assert_eq!(options.timeout_listing_prowjobs, GoDuration::from_secs(60));
        let options = read(&[
            "-config-path",
            "c.yaml",
            "-dry-run=false",
            "--timeout-listing-prowjobs=1m30s",
        ]);
        assert!(!options.dry_run);
        assert_eq!(options.timeout_listing_prowjobs, GoDuration::from_secs(90));
    }
}
