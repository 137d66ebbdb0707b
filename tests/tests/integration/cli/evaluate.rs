//! `tyto evaluate`.

use std::process::{Command, Stdio};

use super::tyto::{Tyto, finish, labels, npy, people};

fn galleries(tyto: &Tyto) -> usize {
    tyto.run("gallery list --json").json(0)["galleries"].as_array().unwrap().len()
}

#[test]
fn every_score_is_the_plaintext_one_and_nothing_stays_behind() {
    let tyto = Tyto::start();
    let done = tyto.run("evaluate --synthetic 40 --dimension 32 --json - --plots plots").json(0);
    // 30 of 40 subjects have three images; the first is enrolled, everything else is searched for.
    assert_eq!(done["comparisons"], 30 * (30 * 2 + 10));
    assert_eq!(done["score_mismatches"], 0);
    assert_eq!((&done["data"]["is_synthetic"], &done["data"]["subjects"]), (&true.into(), &40.into()));
    let identification = &done["encrypted"]["identification"];
    assert_eq!(identification["mated_searches"], 60);
    assert_eq!(identification["non_mated_searches"], 10);
    assert_eq!(done["encrypted"], done["plaintext_quantised"]);
    assert_eq!(done["costs"][1]["count"], 70);
    for plot in ["det.svg", "cmc.svg"] {
        let text = std::fs::read_to_string(tyto.home.path("plots").join(plot)).unwrap();
        assert!(text.starts_with("<svg") || text.starts_with("<?xml"), "{plot}");
    }
    assert_eq!(galleries(&tyto), 0);
}

#[test]
fn files_pairs_and_limits() {
    let tyto = Tyto::start();
    tyto.home.file("faces.npy", npy(&people(8, 1)));
    tyto.home.file("faces.csv", labels(8));
    let mated = (0..8).map(|i| format!("{},{},1,{}", 2 * i, 2 * i + 1, i % 2));
    let non_mated = (0..8).map(|i| format!("{i},{},0,{}", (i + 5) % 16, i % 2));
    let heading = "row_a,row_b,same,fold".to_owned();
    let pairs: Vec<String> = std::iter::once(heading).chain(mated).chain(non_mated).collect();
    tyto.home.file("pairs.csv", pairs.join("\n"));
    let files = "--embeddings faces.npy --labels faces.csv --pairs pairs.csv";
    let done =
        tyto.run(&format!("evaluate {files} --stride 1 --limit-probes 5 --limit-pairs 10 --json out.json"));
    assert!(done.code == 0 && done.out.contains("0 of 50, encrypted against quantised"), "{done:?}");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(tyto.home.path("out.json")).unwrap()).unwrap();
    assert_eq!(json["comparisons"], 5 * 8 + 10);
    assert_eq!(json["encrypted"]["pairs"]["fold_accuracy"]["folds"], 2);

    tyto.home.file("lies.csv", "0,1,0\n");
    let lies = "evaluate --embeddings faces.npy --labels faces.csv --pairs lies.csv";
    tyto.run(lies).refused(2, "rows 0 and 1 says the opposite");
    // An error on the way deletes what was made: without a non-mated pair there is no rate.
    tyto.home.file("mated.csv", "0,1,1\n");
    let mated = "evaluate --embeddings faces.npy --labels faces.csv --pairs mated.csv";
    tyto.run(mated).refused(2, "no non-mated comparisons");
    assert_eq!(galleries(&tyto), 0);
}

#[test]
fn an_interruption_deletes_the_temporary_galleries() {
    let tyto = Tyto::start();
    let mut command = tyto.home.command(["evaluate", "--synthetic", "2000", "--images", "20"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while galleries(&tyto) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let interrupted = finish(Command::new("kill").args(["-INT", &child.id().to_string()]));
    assert_eq!(interrupted.code, 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(galleries(&tyto), 0);
}
