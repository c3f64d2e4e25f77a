//! Credentials in an address are never recorded, and a token goes to its own host only.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// A host that refuses every request, and the lines of the request heads that it receives.
fn host() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (hears, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
            {
                let _ = hears.send(line);
            }
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    (address, heard)
}

fn refs(clone_uri: String) -> Refs {
    Refs {
        org: "o".into(),
        repo: "r".into(),
        base_ref: "main".into(),
        clone_uri,
        ..Refs::default()
    }
}

#[tokio::test]
async fn credentials_in_an_address_are_in_no_record() {
    let (address, heard) = host();
    let long = "x".repeat(200);
    for (uri, is_asked) in [
        (format!("http://user:hunter22@{address}/o/r.git"), true),
        (format!("http://hunter22@{address}/o/r.git"), true),
        // Refused and reported: it has a control character and is longer than what is quoted.
        (format!("https://user:hunter22{long}@h/o\u{1}"), false),
    ] {
        let pod = Pod::new();
        let clone = clone(&pod, vec![refs(uri.clone())]).await;
        assert!(clone.records.iter().any(|record| record.failed));
        let records = pod.read("logs/clone.json");
        assert!(!records.contains("hunter22"), "{records}");
        assert_eq!(heard.try_iter().count() > 0, is_asked, "{uri}");
    }
}

#[tokio::test]
async fn a_token_is_sent_to_no_other_host() {
    let (address, heard) = host();
    let pod = Pod::new();
    pod.write("token", "swordfish");
    let header = STANDARD.encode("swordfish:x-oauth-basic");
    for (endpoint, expected) in [
        ("https://api.github.com".to_owned(), false),
        (format!("http://{address}"), true),
    ] {
        let refs = refs(format!("http://{address}/o/r.git"));
        let clone = clone_with(&pod, vec![refs], |options| {
            options.oauth_token_file = pod.path("token");
            options.github_api_endpoints = vec![endpoint.clone()];
        });
        assert!(clone.await.records.iter().any(|record| record.failed));
        let told = heard.try_iter().any(|line| line.contains(&header));
        assert_eq!(told, expected, "{endpoint}");
        let records = pod.read("logs/clone.json");
        assert!(
            !records.contains("swordfish") && !records.contains(&header),
            "{records}"
        );
    }
}
