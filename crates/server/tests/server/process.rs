//! The binary: its key, its signals, its metrics.

use crate::support::{Galleries, Model};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use tonic::transport::Channel;
use tyto_attest::TrustedKeys;
use tyto_server::{Config, Server};

fn tytod(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tytod"));
    command.env_clear().env("TYTO_DATA_DIR", data_dir);
    command
}

#[tokio::test]
async fn the_printed_key_is_the_one_that_the_server_signs_with() {
    let dir = tempfile::tempdir().unwrap();
    let printed = tytod(dir.path()).arg("key").output().unwrap();
    assert!(printed.status.success());
    let keys = TrustedKeys::parse(std::str::from_utf8(&printed.stdout).unwrap()).unwrap();
    let server = Server::start(Config::local(dir.path())).await.unwrap();
    assert_eq!(server.trusted_keys(), &keys);
    server.shutdown().await.unwrap();
}

#[test]
fn a_wrong_configuration_is_named_before_anything_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tytod.toml");
    std::fs::write(&file, "[tickets]\nlifetime = 3\n").unwrap();
    let run = tytod(dir.path()).args(["serve", "--config"]).arg(&file).output().unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("lifetime"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn the_process_serves_until_it_is_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        tytod(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server ended");
        if let Some((_, rest)) = line.split_once("127.0.0.1:") {
            break format!("127.0.0.1:{}", rest.split(|c: char| !c.is_ascii_digit()).next().unwrap());
        }
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Model::create(&mut Galleries::new(channel), 1, 8, 8).await;
    });
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("stopped"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_calls_by_outcome_on_their_own_port() {
    let fixture = crate::support::Fixture::start_with(|config| {
        config.admin_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let mut galleries = fixture.galleries.clone();
    let model = Model::create(&mut galleries, 1, 8, 8).await;
    crate::support::describe(&mut galleries, &model).await;
    let missing = tyto_api::proto::gallery::v1::DescribeGalleryRequest { gallery_id: vec![1; 16].into() };
    galleries.describe_gallery(missing).await.unwrap_err();
    let address = fixture.server.admin_addr().unwrap();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let metrics = get("/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    for line in [
        "tyto_calls_total{method=\"DescribeGallery\",code=\"OK\"} 1",
        "tyto_calls_total{method=\"DescribeGallery\",code=\"NOT_FOUND\"} 1",
        "tyto_calls_total{method=\"CreateGallery\",code=\"OK\"} 1",
        "tyto_galleries 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    assert!(get("/").starts_with("HTTP/1.1 404 "));
}
