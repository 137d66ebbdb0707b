//! Attestations: asked for, saved, and verified without a server.

use super::tyto::{Tyto, finish, is_absent, labels, npy, people};

#[test]
fn an_answer_is_verified_years_later_with_nothing_but_its_file() {
    let mut tyto = Tyto::start();
    let keys = tyto.trusted_keys();
    tyto.home.file("faces.npy", npy(&people(3, 1)));
    tyto.home.file("faces.csv", labels(3));
    assert_eq!(tyto.run("gallery create staff --dimension 16").code, 0);
    assert_eq!(tyto.run("gallery enrol staff --embeddings faces.npy --labels faces.csv").code, 0);
    let with_keys = "--trusted-keys trusted-keys.txt --audience door --json";
    let identified =
        tyto.run(&format!("identify staff --embeddings faces.npy --attestation-out 1n.tyto {with_keys}"));
    assert_eq!(identified.json(0)["probes"][0]["attestation"], "verified");
    let mut verify =
        tyto.home.command(["verify", "staff", "--subject", "person 1", "--embeddings", "faces.npy"]);
    let verified = finish(
        verify
            .args(["--row", "3", "--threshold", "0.9", "--attestation-out", "11.tyto"])
            .args(with_keys.split(' ')),
    );
    assert_eq!(verified.json(0)["attestation"], "verified");
    tyto.server.kill();

    for (file, operation) in [("1n.tyto", "identify"), ("11.tyto", "verify")] {
        let checked = tyto.run(&format!("attest verify {file} {with_keys}")).json(0);
        assert_eq!(checked["verified"], true);
        assert_eq!((&checked["request"], &checked["result"]), (&"matches".into(), &"matches".into()));
        let statement = &checked["statement"];
        assert_eq!((&statement["operation"], &statement["audience"]), (&operation.into(), &"door".into()));
        assert_eq!(statement["blocks_matched"], 1);
        let inspected = tyto.run(&format!("attest inspect {file} --json")).json(0);
        assert_eq!((&inspected["verified"], &inspected["statement"]), (&false.into(), statement));
    }

    tyto.run("attest verify 1n.tyto").refused(2, "--trusted-keys");
    tyto.run("attest verify 1n.tyto --trusted-keys trusted-keys.txt --audience window").refused(3, "`door`");
    let text = std::fs::read_to_string(&keys).unwrap();
    tyto.home.file("nobody.txt", text.lines().next().unwrap());
    tyto.run("attest verify 1n.tyto --trusted-keys nobody.txt").refused(3, "1n.tyto");
    tyto.home.file("broken.txt", text.replace("ml-dsa-65", "rsa"));
    tyto.run("attest verify 1n.tyto --trusted-keys broken.txt").refused(2, "broken.txt");
    let mut altered = std::fs::read(tyto.home.path("1n.tyto")).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    tyto.home.file("altered.tyto", altered);
    tyto.run("attest verify altered.tyto --trusted-keys trusted-keys.txt").refused(3, "altered.tyto");
    tyto.run("attest inspect faces.npy").refused(3, "faces.npy");
}

#[test]
fn an_answer_signed_by_somebody_else_is_refused() {
    let (tyto, other) = (Tyto::start(), Tyto::start());
    let keys = other.trusted_keys();
    tyto.home.file("faces.npy", npy(&people(2, 1)));
    assert_eq!(tyto.run("gallery create staff --dimension 16").code, 0);
    assert_eq!(tyto.run("gallery enrol staff --embeddings faces.npy --subject a --rows 0").code, 0);
    let verify = "verify staff --subject a --embeddings faces.npy --threshold 0.5 --attestation-out a.tyto";
    let mut verify = tyto.home.command(verify.split(' '));
    finish(verify.arg("--trusted-keys").arg(keys)).refused(3, "attestation");
    assert!(is_absent(&tyto.home.path("a.tyto")));
}

#[test]
fn a_tenant_signs_what_it_decided_and_the_same_command_verifies_it() {
    let mut tyto = Tyto::start();
    tyto.trusted_keys();
    tyto.home.file("faces.npy", npy(&people(2, 1)));
    assert_eq!(tyto.run("gallery create staff --dimension 16").code, 0);
    assert_eq!(tyto.run("gallery enrol staff --embeddings faces.npy --subject ada --rows 0").code, 0);
    let verify = "verify staff --subject ada --embeddings faces.npy --threshold 0.5 --attestation-out a.tyto";
    assert_eq!(tyto.run(verify).code, 0);

    let with_passphrases = |line: &str| {
        let mut command = tyto.home.command(line.split(' '));
        finish(command.env("TYTO_ROOT_PASSPHRASE", "battery").env("TYTO_DECISION_PASSPHRASE", "staple"))
    };
    let made = with_passphrases("attest decision init key --public-out key.der --json").json(0);
    with_passphrases("attest decision init key --public-out key.der").refused(5, "exists already");
    assert_eq!(with_passphrases("root init roots --name acme").code, 0);
    let add = "--valid-from 2020-01-01 --purpose";
    assert_eq!(with_passphrases(&format!("root add roots trusted-keys.txt {add} attestation")).code, 0);
    let added =
        with_passphrases(&format!("root add roots key.der {add} decision --name acme --json")).json(0);
    assert_eq!(added["changed"][0]["key"], made["key"]);

    let issue = "attest decision issue a.tyto --key key --tenant acme --outcome match --threshold-score 481";
    let issue = format!("{issue} --audience door --out d.bundle --json");
    with_passphrases(&issue).refused(2, "--roots");
    let issued = with_passphrases(&format!("{issue} --roots roots --subject ada")).json(0);
    assert_eq!(issued["decision"]["subject"].as_str().unwrap().len(), 32);
    tyto.run(&format!("{issue} --roots roots --subject ada")).refused(6, "TYTO_DECISION_PASSPHRASE");
    with_passphrases(&format!("{issue} --roots roots")).refused(2, "--subject");
    tyto.server.kill();

    let verified = tyto.run("attest verify d.bundle --roots roots --json").json(0);
    let mut decision = verified["decision"].clone();
    let signing_key = decision.as_object_mut().unwrap().remove("signing_key");
    assert_eq!(signing_key.as_ref(), Some(&made["key"]));
    assert_eq!((&verified["evidence"], decision), (&"bundle".into(), issued["decision"].clone()));
    assert_eq!(
        (&verified["decision"]["outcome"], &verified["decision"]["threshold"]),
        (&"match".into(), &481.into())
    );
    assert_eq!(verified["decision"]["attestation_digest"].as_str().unwrap().len(), 64);

    // By pinned keys and a pseudonym instead, without a server; in the place of the decision that is there.
    let pseudonym = issued["decision"]["subject"].as_str().unwrap();
    let again = issue
        .replace("a.tyto", "d.bundle")
        .replace("match --threshold-score 481", "non-match --threshold-score -5");
    assert_eq!(with_passphrases(&format!("{again} --pseudonym {pseudonym}")).code, 0);
    let verified = tyto.run("attest verify d.bundle --roots roots --json").json(0);
    assert_eq!(
        (&verified["decision"]["outcome"], &verified["decision"]["threshold"]),
        (&"non-match".into(), &(-5).into())
    );
    let pinned = format!("{issue} --trusted-keys trusted-keys.txt --pseudonym {pseudonym}");
    assert_eq!(with_passphrases(&pinned).code, 0);

    // A decision of a key that is no longer believed, and one about another attestation.
    let key = made["key"].as_str().unwrap();
    assert_eq!(with_passphrases(&format!("root revoke roots {key} --at 2020-01-02")).code, 0);
    let rejected = tyto.run("attest verify d.bundle --roots roots --json").json(3);
    assert_eq!(
        (&rejected["rejection"]["part"], &rejected["rejection"]["check"]),
        (&"decision".into(), &"revoked".into())
    );
    assert_eq!(rejected["without_decision"]["signing_key"], verified["signing_key"]);
}

#[test]
fn an_entry_is_saved_before_its_receipt_is_waited_for() {
    let tyto = Tyto::start();
    tyto.home.file("deed.pdf", "a deed");
    tyto.run("attest document deed.pdf --receipt-only").refused(2, "--out");
    for mode in ["", "--receipt-only"] {
        let document = |outputs: &str| {
            tyto.run(&format!("attest document deed.pdf {mode} {outputs}").replace("  ", " "))
        };
        // The bundle cannot be written: what nobody else has is there all the same.
        document("--entry-out entry --out nowhere/bundle").refused(7, "the entry is in entry");
        let leaf_hash = tyto.run("attest receipt entry --out fetched --json").json(0)["leaf_hash"].clone();
        std::fs::remove_file(tyto.home.path("entry")).unwrap();
        let saved = document("--entry-out entry --json").json(0);
        assert_eq!(saved["entry"], "entry");
        assert_ne!(saved["leaf_hash"], leaf_hash, "another entry: its nonce differs");
        let fetched = tyto.run("attest receipt entry --out fetched --json").json(0);
        assert_eq!(fetched["leaf_hash"], saved["leaf_hash"]);
        let bundled = document("--out bundle --json").json(0);
        assert!(bundled["index"].as_u64() > fetched["index"].as_u64());
        assert!(is_absent(&tyto.home.path("bundle.entry")), "the bundle has it");
        assert_eq!(tyto.run("attest inspect bundle --json").json(0)["evidence"], "bundle");
    }
}
