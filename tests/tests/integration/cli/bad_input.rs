//! Input that cannot be used: a clear message, the documented exit code, and no change.

use super::tyto::{DIMENSION, Home, Tyto, finish, labels, npy, npy_of_shape, people};

/// A server with a cosine gallery `staff` and an inner-product gallery `raw` up to norm 9, two people in each, and
/// bad files of all kinds.
fn prepared() -> Tyto {
    let tyto = Tyto::start();
    let rows = people(2, 1);
    tyto.home.file("good.npy", npy(&rows));
    tyto.home.file("good.csv", labels(2));
    for create in ["staff --dimension 16", "raw --dimension 16 --metric inner-product --max-norm 9"] {
        assert_eq!(tyto.run(&format!("gallery create {create}")).code, 0);
    }
    for gallery in ["staff", "raw"] {
        let enrol = format!("gallery enrol {gallery} --embeddings good.npy --labels good.csv");
        assert_eq!(tyto.run(&enrol).code, 0);
    }
    let with = |row: Vec<f32>| npy(&[rows[0].clone(), row, rows[2].clone()]);
    let mut nan = rows[1].clone();
    nan[5] = f32::NAN;
    tyto.home.file("nan.npy", with(nan));
    tyto.home.file("zero.npy", with(vec![0.0; DIMENSION]));
    tyto.home.file("long.npy", with(vec![10.0; DIMENSION]));
    tyto.home.file("wide.npy", npy(&[vec![1.0; DIMENSION + 1]]));
    tyto.home.file("flat.npy", npy_of_shape("(32,)", &rows[..2]));
    tyto.home.file("cube.npy", npy_of_shape("(2, 2, 8)", &rows[..2]));
    let whole = npy(&rows);
    tyto.home.file("truncated.npy", &whole[..whole.len() - 7]);
    tyto.home.file("headless.npy", &whole[..30]);
    tyto.home.file("text.npy", "these are no embeddings");
    tyto.home.file("uneven.csv", "1,2,3\n1,2\n");
    tyto.home.file("short.csv", "0,somebody\n");
    tyto
}

/// What must not change.
fn state(tyto: &Tyto) -> String {
    ["staff", "raw"]
        .map(|gallery| tyto.run(&format!("gallery stat {gallery} --json")).json(0).to_string())
        .concat()
}

#[test]
fn files_that_cannot_be_used_change_nothing() {
    let tyto = prepared();
    let before = state(&tyto);
    let cases = [
        ("staff", "wide.npy", "the embeddings have 17 coordinates, the gallery wants 16"),
        ("staff", "nan.npy", "row 1: coordinate 5 is not a finite number"),
        ("staff", "zero.npy", "row 1: the vector is zero"),
        ("raw", "long.npy", "row 1: the vector's norm is over the gallery's maximum of 9"),
        ("staff", "flat.npy", "shape [32]"),
        ("staff", "cube.npy", "shape [2, 2, 8]"),
        ("staff", "truncated.npy", "truncated: it ends in row 3 of 4"),
        ("staff", "headless.npy", "truncated: it ends in the header"),
        ("staff", "text.npy", "does not start with"),
        ("staff", "uneven.csv", "row 1 has 2 coordinates; the first row has 3"),
        ("staff", "absent.npy", "cannot read the file"),
    ];
    for (gallery, file, words) in cases {
        let commands = [
            format!("gallery enrol {gallery} --embeddings {file} --subject new"),
            format!("verify {gallery} --subject new --threshold 0.5 --embeddings {file} --row 1"),
            format!("identify {gallery} --embeddings {file} --all-rows"),
        ];
        for command in commands {
            let done = tyto.run(&command);
            done.refused(2, words);
            assert!(done.err.contains(file), "the message names the file: {done:?}");
        }
    }
    tyto.run("gallery enrol staff --embeddings good.npy --labels short.csv")
        .refused(2, "1 labels for 4 embeddings");
    tyto.run("gallery enrol staff --embeddings good.npy").refused(2, "--subject ID");
    tyto.run("gallery enrol staff --embeddings good.npy --subject a --rows 2-4")
        .refused(2, "there is no row 4");
    tyto.run("identify staff --embeddings good.npy --row 4").refused(2, "there is no row 4");
    let long = "x".repeat(65);
    let enrol = format!("gallery enrol staff --embeddings good.npy --subject {long}");
    tyto.run(&enrol).refused(2, "a subject id has 1 to 64 bytes, not 65");
    assert_eq!(state(&tyto), before);
}

#[test]
fn bad_rows_are_skipped_and_listed_if_that_is_wanted() {
    let tyto = prepared();
    let done = tyto.run("gallery enrol staff --embeddings nan.npy --subject new --skip-bad --json").json(0);
    assert_eq!(done["enrolled"], 2);
    assert_eq!(
        done["skipped"],
        serde_json::json!([{"row": 1, "reason": "coordinate 5 is not a finite number"}])
    );
    // Only the rows that are used must be good.
    assert_eq!(tyto.run("identify staff --embeddings nan.npy --rows 0,2").code, 0);
}

#[test]
fn other_galleries_subjects_and_keys_have_their_exit_codes() {
    let tyto = prepared();
    let before = state(&tyto);
    tyto.run("gallery enrol nowhere --embeddings good.npy --subject a").refused(5, "no gallery `nowhere`");
    let id = "0123456789abcdef0123456789abcdef";
    tyto.run(&format!("identify {id} --embeddings good.npy")).refused(5, "no gallery");
    tyto.run("gallery remove staff --subject nobody").refused(5, "not enrolled");
    let mut wrong = tyto.home.command(["gallery", "list"]);
    finish(wrong.env("TYTO_PASSPHRASE", "wrong")).refused(6, "wrong passphrase");

    let other = tyto.other_home();
    let listed = other.run("gallery list --json").json(0);
    assert_eq!(listed["galleries"].as_array().unwrap().len(), 2);
    assert!(listed["galleries"][0]["name"].is_null(), "names are sealed by the key");
    let id = listed["galleries"][0]["id"].as_str().unwrap();
    let good = tyto.home.path("good.npy");
    for command in ["gallery enrol ID --subject a --embeddings", "identify ID --embeddings"] {
        let command = command.replace("ID", id);
        finish(other.command(command.split(' ')).arg(&good)).refused(6, "which is not in the keyring");
    }
    other.run(&format!("gallery delete {id} --yes")).refused(6, "key");
    other.run("gallery stat staff").refused(5, "no gallery `staff`");
    assert_eq!(state(&tyto), before);
}

#[test]
fn a_server_that_is_not_there_has_its_exit_code() {
    let home = Home::new("http://127.0.0.1:1").with_keyring();
    home.run("gallery list").refused(4, "127.0.0.1:1");
    home.run("gallery list --endpoint nonsense").refused(2, "nonsense");
    let usage = home.run("gallery frobnicate");
    assert_eq!((usage.code, usage.out.as_str()), (2, ""));
    let help = home.run("--help");
    assert!(help.code == 0 && help.out.contains("Exit codes:") && help.err.is_empty());
}
