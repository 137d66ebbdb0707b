//! `tyto root`, and what its lists do to verdicts.

use std::path::Path;

use serde_json::Value;

use super::tyto::{Done, Home, Tyto, finish, npy, people};

const LATER: &str = "2126-01-01";

/// Runs a command with the root key's passphrase in its environment.
fn root(home: &Home, line: &str) -> Done {
    let mut command = home.command(line.split(' '));
    finish(command.env("TYTO_ROOT_PASSPHRASE", "battery staple").env("TYTO_NEW_PASSPHRASE", "staple"))
}

/// The verdict on a kept answer, which was rejected by `check` if one is named.
fn verdict(home: &Home, arguments: &str, check: Option<&str>) -> Value {
    let done = home.run(&format!("attest verify a.tyto --json {arguments}"));
    let verdict = done.json(if check.is_some() { 3 } else { 0 });
    assert_eq!(verdict["verified"], check.is_none(), "{verdict}");
    assert_eq!(verdict["rejection"]["check"].as_str(), check, "{verdict}");
    verdict
}

/// A kept answer of a server, and the server's key in `trusted-keys.txt`.
fn answered() -> Tyto {
    let mut tyto = Tyto::start();
    tyto.trusted_keys();
    tyto.home.file("faces.npy", npy(&people(1, 1)));
    assert_eq!(tyto.run("gallery create staff --dimension 16").code, 0);
    assert_eq!(tyto.run("gallery enrol staff --embeddings faces.npy --subject a --rows 0").code, 0);
    let verify = "verify staff --subject a --embeddings faces.npy --row 0 --threshold 0.5";
    assert_eq!(tyto.run(&format!("{verify} --attestation-out a.tyto")).code, 0);
    tyto.server.kill();
    tyto
}

fn key_files(home: &Home) -> Vec<String> {
    let files = std::fs::read_dir(home.path("")).unwrap().map(|file| file.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "key"));
    files
}

#[test]
fn verdicts_follow_the_trust_root() {
    let tyto = answered();
    let home = &tyto.home;
    let made = root(home, "root init roots --name acme --json").json(0);
    assert_eq!((&made["version"], &made["keys"]), (&1.into(), &Value::Array(vec![])));
    verdict(home, "--roots roots", Some("key-id"));

    let added =
        root(home, "root add roots trusted-keys.txt --purpose attestation --valid-from 2020-01-01 --json");
    let added = added.json(0);
    assert_eq!((&added["version"], &added["changed"][0]["change"]), (&2.into(), &"added".into()));
    let key = added["keys"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(added["changed"][0]["key"], key.as_str());
    let accepted = verdict(home, "--roots roots", None);
    assert_eq!(
        (&accepted["signing_key"], &accepted["trust_root"]["version"]),
        (&key.as_str().into(), &2.into())
    );
    verdict(home, "--roots roots --at 2019-01-01", Some("time-order"));

    // Retired at a time that lies ahead: what is seen before it stands.
    let retired = root(home, &format!("root retire roots {key} --until {LATER} --json")).json(0);
    assert_eq!(retired["changed"][0]["before"]["valid_until_unix_ms"], Value::Null);
    verdict(home, "--roots roots", None);
    verdict(home, &format!("--roots roots --at {LATER}"), Some("expired"));

    let revoked = format!("root revoke roots {key} --at 2125-01-01 --reason key-compromise --json");
    assert_eq!(root(home, &revoked).json(0)["keys"][0]["revocation"]["reason"], "key-compromise");
    verdict(home, "--roots roots", None);
    verdict(home, "--roots roots --at 2125-01-01", Some("revoked"));
    verdict(home, "--roots roots --at none", Some("revoked"));

    // Nothing is taken back, and a refused step changes nothing.
    let before = std::fs::read(home.path("roots")).unwrap();
    root(home, &format!("root revoke roots {key} --at 2125-01-02")).refused(2, "root-regression");
    root(home, &format!("root retire roots {key} --until 2126-01-02")).refused(2, "root-regression");
    root(home, "root add roots trusted-keys.txt --purpose attestation").refused(5, &key);
    root(home, "root add roots trusted-keys.txt --purpose log --log-origin l").refused(5, &key);
    root(home, &format!("root revoke roots {}", "0".repeat(64))).refused(5, "is not in the trust root");
    root(home, "root init roots --name acme").refused(5, "exists already");
    assert_eq!(std::fs::read(home.path("roots")).unwrap(), before);

    // An earlier revocation is possible, and rejects what was seen only after it.
    assert_eq!(root(home, &format!("root revoke roots {key} --at 2020-01-02")).code, 0);
    verdict(home, "--roots roots", Some("revoked"));
    let shown = home.run("root show roots --json").json(0);
    assert_eq!((&shown["version"], &shown["keys"][0]["purpose"]), (&5.into(), &"attestation".into()));
}

#[test]
fn the_root_key_is_guarded_and_can_be_replaced() {
    let home = Home::new("http://127.0.0.1:1");
    home.run("root init roots --name acme").refused(6, "TYTO_ROOT_PASSPHRASE");
    let made = root(&home, "root init roots --name acme --algorithm slh-dsa-shake-128f --json").json(0);
    let first = made["root_key"].as_str().unwrap().to_owned();
    assert_eq!(key_files(&home), [format!("roots.{}.key", &first[..16])]);
    let add = "root add roots key.der --purpose witness";
    home.file("key.der", "no key");
    root(&home, add).refused(2, "key.der");
    let keys = tyto_client::pqc::mldsa::SigningKey::generate().unwrap();
    home.file("key.der", keys.verifying_key().to_spki().unwrap());
    root(&home, "root add roots key.der --purpose log --log-origin l").refused(2, "purpose");
    finish(home.command(add.split(' ')).env("TYTO_ROOT_PASSPHRASE", "wrong")).refused(6, "wrong passphrase");
    root(&home, &format!("{add} --root-key-file absent")).refused(6, "absent");
    root(&home, "root add absent key.der --purpose witness").refused(2, "absent");
    assert!(!home.path("absent.lock").exists());
    assert_eq!(home.run("root show roots --json").json(0)["version"], 1);
    assert_eq!(root(&home, add).code, 0);

    let rotated = root(&home, "root rotate roots --json").json(0);
    let second = rotated["root_key"].as_str().unwrap().to_owned();
    assert_eq!((&rotated["version"], &rotated["previous_root_key"]), (&3.into(), &first.as_str().into()));
    assert_eq!(rotated["root_key_algorithm"], "SLH-DSA-SHAKE-128s");
    assert_eq!(key_files(&home).len(), 2);
    for key in [&first, &second] {
        assert_eq!(home.run(&format!("root show roots --root-key {key}")).code, 0);
    }
    // The new key has the new passphrase, and the old key signs no more.
    let key = rotated["keys"][0]["key"].as_str().unwrap();
    let retire = format!("root retire roots {key}");
    root(&home, &retire).refused(6, "wrong passphrase");
    let old = format!("{retire} --root-key-file roots.{}.key", &first[..16]);
    root(&home, &old).refused(2, "key-id");
    let with_new = finish(home.command(retire.split(' ')).env("TYTO_ROOT_PASSPHRASE", "staple"));
    assert_eq!(with_new.code, 0, "{with_new:?}");
    home.run(&format!("root show roots --root-key {first}")).refused(2, "key-id");
    home.run("root show key.der").refused(2, "key.der");
}
