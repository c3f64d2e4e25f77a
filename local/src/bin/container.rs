//! The program that the kubelet tests execute as a container. `prow` answers to the same argument
//! itself.

fn main() -> std::process::ExitCode {
    local::kubelet::container_main()
}
