//! `tyto replay`: answers computed once more from their ciphertexts.

use serde_json::Value;

use super::tyto::{Tyto, labels, npy, people};

const KEYS: &str = "--trusted-keys trusted-keys.txt";

/// A server with a gallery of six templates, its trusted keys, and a gallery for verification with the same.
fn served() -> Tyto {
    let tyto = Tyto::start();
    tyto.trusted_keys();
    tyto.home.file("faces.npy", npy(&people(3, 1)));
    tyto.home.file("faces.csv", labels(3));
    for create in
        ["gallery create staff --dimension 16", "gallery create door --dimension 16 --layout verification"]
    {
        assert_eq!(tyto.run(create).code, 0);
    }
    for gallery in ["staff", "door"] {
        let enrol = format!("gallery enrol {gallery} --embeddings faces.npy --labels faces.csv");
        assert_eq!(tyto.run(&enrol).code, 0);
    }
    tyto
}

/// Whether a replay holds, and the first field that differs.
fn replayed(tyto: &Tyto, line: &str, code: i32) -> Value {
    let done = tyto.run(&format!("replay run {line} {KEYS} --json"));
    let shown = done.json(code);
    assert_eq!(shown["replayed"], code == 0, "{shown}");
    let differing = |comparison: &&Value| comparison["found"] == "differs";
    let comparisons = shown["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 14);
    comparisons.iter().find(differing).map_or(Value::Null, |comparison| comparison["field"].clone())
}

fn altered(tyto: &Tyto, name: &str, to: &str, alter: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(tyto.home.path(name)).unwrap();
    alter(&mut bytes);
    tyto.home.file(to, bytes);
}

#[test]
fn answers_are_computed_once_more_from_their_ciphertexts() {
    let mut tyto = served();
    // A verification and an identification, each by a whole query and by a ticket.
    let asked = [
        ("verify door --subject zero --row 0 --threshold 0.5 --probe-by query", "v-query"),
        ("verify door --subject zero --row 0 --threshold 0.5 --probe-by ticket", "v-ticket"),
        ("identify staff --row 2 --probe-by query", "i-query"),
        ("identify staff --row 2 --probe-by ticket", "i-ticket"),
    ];
    assert_eq!(tyto.run("gallery enrol door --embeddings faces.npy --subject zero --rows 0,1").code, 0);
    for (line, name) in asked {
        let line = format!("{line} --embeddings faces.npy --replay-out {name} {KEYS}");
        assert_eq!(tyto.run(&line).code, 0, "{name}");
    }
    // What is enrolled since does no harm.
    for gallery in ["staff", "door"] {
        let enrol = format!("gallery enrol {gallery} --embeddings faces.npy --subject later --rows 4");
        assert_eq!(tyto.run(&enrol).code, 0);
    }
    for (_, name) in asked {
        let exported = tyto.run(&format!("replay export {name} --out {name}.ct --json")).json(0);
        assert_eq!(
            exported["bytes"],
            std::fs::metadata(tyto.home.path(&format!("{name}.ct"))).unwrap().len()
        );
    }
    tyto.run("replay export i-query --out large --max-bytes 1000").refused(2, "--max-bytes");
    // What was removed is gone.
    assert_eq!(tyto.run("gallery remove staff --subject later").code, 0);
    assert_eq!(tyto.run("replay export i-query --out again.ct").code, 0, "it was not compared");
    let mut remove = tyto.home.command(["gallery", "remove", "staff", "--subject", "person 1"]);
    assert!(remove.output().unwrap().status.success());
    tyto.run("replay export i-query --out again.ct").refused(5, "no longer replayable");
    tyto.server.kill();

    for (_, name) in asked {
        assert_eq!(replayed(&tyto, &format!("{name} {name}.ct"), 0), Value::Null, "{name}");
    }
    tyto.run("replay run i-query i-query.ct").refused(2, "--trusted-keys");
    tyto.run(&format!("replay run i-query v-query.ct {KEYS}")).refused(2, "another gallery");
    tyto.run(&format!("replay run i-query.ct i-query.ct {KEYS}")).refused(2, "i-query.ct");

    // The lowest bit of the last coefficient's bytes: still a coefficient, and another ciphertext.
    for name in ["v-query", "i-query", "i-ticket"] {
        altered(&tyto, &format!("{name}.ct"), "altered.ct", |bytes| {
            let at = bytes.len() - 6;
            bytes[at] ^= 1;
        });
        assert_eq!(replayed(&tyto, &format!("{name} altered.ct"), 3), "result_digest", "{name}");
        let done = tyto.run(&format!("replay run {name} altered.ct {KEYS}"));
        assert!(done.err.contains("`result_digest`") && done.err.contains("first at block"), "{done:?}");
    }
    // Fields of the replay file itself: manifest version, its digest, a block's version, a record's digest.
    for (at, field) in [
        (50, "manifest_version"),
        (58, "gallery_state_digest"),
        (58 + 32 + 4 + 16, "blocks_root"),
        (58 + 32 + 4 + 24 + 4 + 4, "records_digest"),
    ] {
        altered(&tyto, "i-query", "altered", |bytes| bytes[at] ^= 1);
        if field == "blocks_root" {
            // The ciphertexts say which version they are of.
            altered(&tyto, "i-query.ct", "altered.ct", |bytes| bytes[54 + 16] ^= 1);
            assert_eq!(replayed(&tyto, "altered altered.ct", 3), field);
            tyto.run(&format!("replay run altered i-query.ct {KEYS}")).refused(2, "version");
        } else {
            assert_eq!(replayed(&tyto, "altered i-query.ct", 3), field);
        }
    }
    // The request in it: another bit of the query.
    let query = std::fs::read(tyto.home.path("i-query")).unwrap();
    let at = query.windows(18).position(|window| window[..2] == *b"Q\x02" && window[2..] == [0; 16]).unwrap();
    altered(&tyto, "i-query", "altered", |bytes| bytes[at + 18 + 100] ^= 1);
    assert_eq!(replayed(&tyto, "altered i-query.ct", 3), "request_digest");
}
