//! The quickstart as its users run it.

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tyto-demo"));
    command.args(arguments).env_remove("TYTO_PASSPHRASE").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn it_runs_from_nothing_and_every_score_is_right() {
    let output = run(&["--subjects", "60", "--evaluate"]);
    let text = text(&output);
    assert!(output.status.success(), "{output:?}");
    // 40 verifications and one by ticket; 20 searches of 60 templates and one without ticket.
    for line in [
        "SYNTHETIC",
        "genuine",
        "impostor",
        "one bit flipped    refused",
        "score mismatches           0 of ",
        "scores             1301 decrypted and compared with plaintext: 0 mismatches",
        "plaintext on disk  none found",
    ] {
        assert!(text.contains(line), "`{line}` in\n{text}");
    }
    let folder = text.split("data in ").nth(1).unwrap().lines().next().unwrap();
    assert!(!Path::new(folder).exists(), "{folder} is temporary");
}

#[test]
fn what_is_kept_can_be_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("kept");
    let output = run(&["--subjects", "20", "--dimension", "32", "--data-dir", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    // Paths aside, whose length is not ours, everything fits a terminal.
    let paths = data.to_str().unwrap();
    for line in text(&output).lines().filter(|line| !line.contains(paths)) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for file in ["server/tyto.sqlite", "client/keyring", "trusted-keys.txt", "identification.attestation"] {
        let path = data.join(file);
        assert!(path.exists() && text(&output).contains("export TYTO_KEYRING="), "{file}");
    }
    let again = run(&["--data-dir", data.to_str().unwrap()]);
    assert!(!again.status.success());
    assert!(String::from_utf8(again.stderr).unwrap().contains("is not empty"));
}
