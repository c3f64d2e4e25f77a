//! What the pod runner's tests execute as a container; `prow` answers to the same argument itself.

fn main() -> std::process::ExitCode {
    local::kubelet::container_main()
}
