//! A clone over ssh, from an `sshd` on the loopback address.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// Killed when it is dropped.
struct Sshd {
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_key(path: &Path) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen has to be installed: apt-get install openssh-client");
    assert!(made.success());
    fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned()
}

impl Sshd {
    /// Accepts the key `pod.at("key")`; returns the host's public key as well.
    fn start(pod: &Pod) -> (Self, String) {
        let host = make_key(&pod.at("host"));
        pod.write("authorized", make_key(&pod.at("key")));
        if nix::unistd::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let config = format!(
            "ListenAddress 127.0.0.1:{}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n",
            free.port(),
            pod.path("host"),
            pod.path("authorized"),
        );
        pod.write("sshd_config", config);
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(pod.at("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd has to be installed: apt-get install openssh-server");
        let sshd = Self {
            child,
            port: free.port(),
        };
        for _ in 0..200 {
            if TcpStream::connect(free).is_ok() {
                return (sshd, host);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not listen on {free}");
    }
}

#[tokio::test]
async fn a_key_for_its_owner_alone_and_a_known_host_let_it_in() {
    let pod = Pod::new();
    let repository = Repository::new(&pod.at("origin"));
    let (sshd, host) = Sshd::start(&pod);
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap();
    let uri = format!(
        "ssh://{}@127.0.0.1:{}{}",
        user.name,
        sshd.port,
        pod.path("origin")
    );
    let refs = Refs {
        clone_uri: uri,
        ..repository.refs(vec![repository.pull(1, "one", "1")])
    };
    // As a Secret with `defaultMode: 0400` is mounted.
    fs::create_dir(pod.at("keys")).unwrap();
    fs::copy(pod.at("key"), pod.at("keys/id")).unwrap();
    fs::set_permissions(pod.at("keys/id"), fs::Permissions::from_mode(0o400)).unwrap();
    let known = format!("[127.0.0.1]:{} {host}", sshd.port);

    let done = clone_with(&pod, vec![refs.clone()], |options| {
        options.key_files = vec![pod.path("keys")];
        options.host_fingerprints = vec![known];
    })
    .await;
    assert!(
        !done.records.iter().any(|r| r.failed),
        "{:#?}",
        done.records
    );
    assert_eq!(pod.read(&format!("{TREE}/one")), "1");

    // Without the host's key nothing is fetched, and the reason is reported.
    let refused = clone_with(&pod, vec![refs], |options| {
        options.src_root = pod.path("second");
        options.key_files = vec![pod.path("keys")];
        options.host_fingerprints = vec![format!("[127.0.0.1]:1 {host}")];
    })
    .await;
    let why = podutils::clonerefs::explain_clone_failure(&refused.records).unwrap();
    let why = why.lines.join("\n");
    assert!(why.contains("Host key verification failed"), "{why}");
}
