//! Galleries, enrolment, verification, identification, removal.

use serde_json::json;

use super::tyto::{DIMENSION, Tyto, labels, npy, people};

#[test]
fn a_gallery_is_filled_searched_and_emptied() {
    let tyto = Tyto::start();
    tyto.home.file("faces.npy", npy(&people(6, 1)));
    tyto.home.file("faces.csv", labels(6));
    let made = tyto.run("gallery create staff --dimension 16 --stride 4 --json").json(0);
    assert_eq!((&made["stride"], &made["templates_per_block"]), (&4.into(), &512.into()));
    let id = made["gallery"]["id"].as_str().unwrap();
    tyto.run("gallery create staff --dimension 16").refused(5, "this name");

    let enrolled =
        tyto.run("gallery enrol staff --embeddings faces.npy --labels faces.csv --rows 0,2,4,6,8,10 --json");
    assert_eq!(enrolled.json(0)["enrolled"], 6);
    let more = tyto.run("gallery enrol staff --embeddings faces.npy --rows 1 --subject 3rd --json").json(0);
    // The journal in the state directory lets the second process go on with the first one's block.
    assert_eq!((&more["blocks_provisioned"], &more["journalled"]), (&0.into(), &true.into()));
    let stat = tyto.run("gallery stat staff --json").json(0);
    assert_eq!((&stat["templates"], &stat["subjects"], &stat["blocks"]), (&7.into(), &7.into(), &1.into()));
    let listed = tyto.run("gallery list --json").json(0);
    assert_eq!(
        (&listed["galleries"][0]["id"], &listed["galleries"][0]["name"]),
        (&id.into(), &"staff".into())
    );
    let subjects = tyto.run("gallery subjects staff --json").json(0)["subjects"].clone();
    assert_eq!(subjects[0], json!({"subject": "3rd", "templates": 1}));

    let verify = "verify staff --subject 3rd --embeddings faces.npy --json --threshold 0.9 --row";
    let genuine = tyto.run(&format!("{verify} 0")).json(0);
    assert_eq!((&genuine["decision"], &genuine["attestation"]), (&"match".into(), &"unverified".into()));
    let impostor = tyto.run(&format!("{verify} 2")).json(1);
    assert_eq!(impostor["decision"], "non-match");
    assert!(impostor["score"].as_i64() < genuine["score"].as_i64());
    tyto.run("verify staff --subject nobody --embeddings faces.npy --threshold 0.9")
        .refused(5, "not enrolled");

    let identify = "identify staff --embeddings faces.npy --rows 3,5 --candidates 2 --json";
    let found = tyto.run(identify).json(0);
    let best = |probe: usize| found["probes"][probe]["candidates"][0]["subject"].as_str().unwrap();
    assert_eq!((best(0), best(1)), ("person 1", "person 2"));
    assert_eq!(found["probes"][0]["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(found["probes"][0]["compared"], 7);
    let nobody = tyto.run(&format!("{identify} --threshold-score 1019")).json(1);
    assert_eq!(nobody["probes"][0]["candidates"], json!([]));

    let removed = tyto.home.command(["gallery", "remove", "staff", "--subject", "person 1", "--json"]);
    assert_eq!(super::tyto::finish(&mut { removed }).json(0)["templates_removed"], 1);
    tyto.run("gallery remove staff --subject nobody").refused(5, "not enrolled");
    let found = tyto.run("identify staff --embeddings faces.npy --row 3 --threshold 0.9 --json").json(1);
    assert_eq!(found["probes"][0]["compared"], 6);

    tyto.run(&format!("gallery delete {id}")).refused(2, "--yes");
    assert_eq!(tyto.run(&format!("gallery delete {id} --yes --json")).json(0), json!({"deleted": id}));
    tyto.run("gallery stat staff").refused(5, "no gallery `staff`");
}

#[test]
fn scores_are_those_of_the_quantised_vectors() {
    use tyto_client::tenant::{Metric, Quantiser};

    let tyto = Tyto::start();
    let rows = people(4, 2);
    tyto.home.file("faces.npy", npy(&rows));
    tyto.home.file("faces.csv", labels(4));
    let quantiser = Quantiser::new(Metric::InnerProduct { max_norm: 9.0 }, DIMENSION).unwrap();
    let templates: Vec<_> = rows.iter().map(|row| quantiser.quantise(row).unwrap()).collect();
    let create =
        "gallery create raw --dimension 16 --layout verification --metric inner-product --max-norm 9";
    assert_eq!(tyto.run(create).code, 0);
    assert_eq!(tyto.run("gallery enrol raw --embeddings faces.npy --labels faces.csv").code, 0);
    for (row, probe) in templates.iter().enumerate() {
        let found =
            tyto.run(&format!("identify raw --embeddings faces.npy --row {row} --json")).json(0)["probes"][0]
                .clone();
        for candidate in found["candidates"].as_array().unwrap() {
            let person: usize = candidate["subject"].as_str().unwrap()["person ".len()..].parse().unwrap();
            let expected = [2 * person, 2 * person + 1].map(|row| templates[row].inner_product(probe));
            let best = *expected.iter().max().unwrap();
            assert_eq!(candidate["score"], best);
            assert!((candidate["value"].as_f64().unwrap() - quantiser.value(best)).abs() < 1e-9);
            let all: Vec<_> =
                candidate["templates"].as_array().unwrap().iter().map(|entry| &entry["score"]).collect();
            assert!(all.len() == 2 && expected.iter().all(|score| all.iter().any(|found| *found == score)));
        }
    }
}

#[test]
fn text_is_for_people() {
    let tyto = Tyto::start();
    tyto.home.file("faces.npy", npy(&people(3, 3)));
    tyto.home.file("faces.csv", labels(3));
    let enrol = "gallery enrol staff --embeddings faces.npy --labels faces.csv";
    for (line, shown) in [
        ("gallery create staff --dimension 16", "created staff ("),
        (enrol, "enrolled 6 templates in staff ("),
        ("gallery list", "staff"),
        ("gallery stat staff", "templates  6\n"),
        ("gallery subjects staff", "person 2          2\n"),
        ("identify staff --embeddings faces.npy --candidates 1", "   1  person 0"),
    ] {
        let done = tyto.run(line);
        assert!(done.code == 0 && done.out.contains(shown) && done.err.is_empty(), "{line}: {done:?}");
    }
    let mut verify =
        tyto.home.command(["verify", "staff", "--subject", "person 0", "--embeddings", "faces.npy"]);
    let done = super::tyto::finish(verify.args(["--threshold", "0.5"]));
    assert!(done.code == 0 && done.out.contains("decision     match\n") && done.err.is_empty(), "{done:?}");
}
