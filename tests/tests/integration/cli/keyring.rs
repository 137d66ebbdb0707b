//! `tyto keyring`.

use std::os::unix::fs::PermissionsExt as _;

use super::tyto::{Home, finish, is_absent};

#[test]
fn a_keyring_is_made_once_and_guarded_by_its_passphrase() {
    let home = Home::new("http://127.0.0.1:1");
    home.run("keyring show").refused(6, "there is no keyring");
    let made = home.run("keyring init --json").json(0);
    let path = home.path(".tyto/keyring");
    assert_eq!(made["keyring"], path.to_str().unwrap());
    assert_eq!(made["keys"].as_array().unwrap().len(), 1);
    assert_eq!(made["keys"][0]["current"], true);
    assert_eq!(made["keys"][0]["id"].as_str().unwrap().len(), 32);
    let modes =
        [&path, &home.path(".tyto")].map(|path| path.metadata().unwrap().permissions().mode() & 0o777);
    assert_eq!(modes, [0o600, 0o700]);

    let before = std::fs::read(&path).unwrap();
    home.run("keyring init").refused(5, "exists already");
    finish(home.command(["keyring", "show"]).env("TYTO_PASSPHRASE", "wrong")).refused(6, "wrong passphrase");
    finish(home.command(["keyring", "show"]).env_remove("TYTO_PASSPHRASE")).refused(6, "set TYTO_PASSPHRASE");
    home.file("wrong", "not it\n");
    // The option is nearer than the environment.
    home.run("keyring show --passphrase-file wrong").refused(6, "wrong passphrase");
    home.run("keyring show --passphrase-file absent").refused(2, "absent");
    assert_eq!(home.run("keyring show --json").json(0)["keys"], made["keys"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);

    home.file("junk", "this is no keyring");
    home.run("keyring show --keyring junk").refused(6, "junk");
}

#[test]
fn an_empty_passphrase_makes_no_keyring() {
    let home = Home::new("http://127.0.0.1:1");
    finish(home.command(["keyring", "init"]).env("TYTO_PASSPHRASE", "")).refused(6, "a passphrase has 1 to");
    assert!(is_absent(&home.path(".tyto")));
}

#[test]
fn keys_travel_by_export_and_import() {
    let home = Home::new("http://127.0.0.1:1").with_keyring();
    home.file("box passphrase", "carried separately\n");
    home.file("other", "something else");
    let file = home.path("box passphrase");
    let with = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        finish(home.command(words).arg(&file))
    };
    let first = home.run("keyring show --json").json(0)["keys"].clone();
    home.run("keyring export box").refused(6, "TYTO_EXPORT_PASSPHRASE");
    let exported = with("keyring export box --json --to-passphrase-file").json(0);
    assert_eq!(exported["file"], "box");
    with("keyring export box --to-passphrase-file").refused(5, "exists already");

    // The exported file opens with its own passphrase alone, and the error says which file it is about.
    home.run("keyring import box --keyring there/keyring --from-passphrase-file other")
        .refused(6, "keyring box");
    assert!(is_absent(&home.path("there")));
    let imported = with("keyring import box --json --keyring there/keyring --from-passphrase-file").json(0);
    assert_eq!((&imported["added"], &imported["keys"]), (&1.into(), &first));
    let again = with("keyring import box --json --keyring there/keyring --from-passphrase-file").json(0);
    assert_eq!(again["added"], 0);

    let both = home.run("keyring new-key --json").json(0);
    assert_eq!(both["keys"].as_array().unwrap().len(), 2);
    assert_eq!((&both["keys"][0]["current"], &both["keys"][1]["current"]), (&false.into(), &true.into()));
    assert_eq!(both["keys"][0]["id"], first[0]["id"]);
}

#[test]
fn the_passphrase_can_be_changed() {
    let home = Home::new("http://127.0.0.1:1").with_keyring();
    let keys = home.run("keyring show --json").json(0)["keys"].clone();
    home.run("keyring passwd").refused(6, "TYTO_NEW_PASSPHRASE");
    let changed = finish(home.command(["keyring", "passwd", "--json"]).env("TYTO_NEW_PASSPHRASE", "battery"));
    assert_eq!(changed.json(0)["keys"], keys);
    home.run("keyring show").refused(6, "wrong passphrase");
    let shown = finish(home.command(["keyring", "show", "--json"]).env("TYTO_PASSPHRASE", "battery"));
    assert_eq!(shown.json(0)["keys"], keys);
}
