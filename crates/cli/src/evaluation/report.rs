//! Encrypted, quantised and float scores side by side.

use std::fmt::Write as _;

use serde::Serialize;

use super::{IdentificationRates, OpenSetRate, PairRates, Rate, VerificationRates};

/// Width of the first column of the table, in characters.
const NAME_WIDTH: usize = 27;
/// Width of the other columns.
const CELL_WIDTH: usize = 30;

/// What was evaluated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSet {
    /// The file's or the data set's name.
    pub name: String,
    /// Whether the embeddings were made up.
    pub is_synthetic: bool,
    /// Distinct subjects.
    pub subjects: u64,
    /// Images, one embedding each.
    pub images: u64,
    /// Coordinates per embedding.
    pub dimension: u64,
}

/// Performance of one way of comparing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// 1:1, over the comparisons of all searches.
    pub verification: VerificationRates,
    /// 1:N, if searches were made.
    pub identification: Option<IdentificationRates>,
    /// 1:1, over listed pairs, if there were any.
    pub pairs: Option<PairRates>,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was evaluated.
    pub data: DataSet,
    /// Name of the parameter set of the encrypted comparison.
    pub parameter_set: String,
    /// Scores that were computed both encrypted and in the clear.
    pub comparisons: u64,
    /// Those of them in which the decrypted score was not exactly the quantised one.
    pub score_mismatches: u64,
    /// By encrypted comparison.
    pub encrypted: Rates,
    /// By the same integers in the clear.
    pub plaintext_quantised: Rates,
    /// By cosine in floating point.
    pub float: Rates,
}

impl Report {
    /// An aligned table in plain text, each line ended.
    pub fn table(&self) -> String {
        let mut out = String::new();
        self.write_heading(&mut out);
        for (name, cells) in self.rows() {
            let cells = cells.map(|cell| format!("{cell:<CELL_WIDTH$}")).concat();
            let _ = writeln!(out, "{name:<NAME_WIDTH$}{}", cells.trim_end());
        }
        self.write_notes(&mut out);
        out
    }

    /// The table's rows: a name, then encrypted, quantised and float.
    fn rows(&self) -> Vec<(String, [String; 3])> {
        let columns = [&self.encrypted, &self.plaintext_quantised, &self.float];
        let verification = columns.map(|rates| &rates.verification);
        let mut rows = vec![
            (String::new(), ["encrypted", "quantised, in the clear", "float"].map(str::to_owned)),
            ("EER".to_owned(), verification.map(|rates| percent(&rates.equal_error_rate))),
        ];
        for (index, at) in self.encrypted.verification.fnmr_at_fmr.iter().enumerate() {
            let mark = if at.is_uncertain() { " *" } else { "" };
            let rate = |rates: &VerificationRates| rates.fnmr_at_fmr.get(index).map(|at| at.fnmr);
            let cells = verification.map(|rates| percent_or_dash(rate(rates)));
            rows.push((format!("FNMR at FMR {:e}{mark}", at.fmr_limit), cells));
        }
        let identification = columns.map(|rates| rates.identification.as_ref());
        if identification.iter().any(Option::is_some) {
            let cells = identification.map(|rates| percent_or_dash(rates.map(|rates| rates.rank_1)));
            rows.push(("TPIR at rank 1".to_owned(), cells));
        }
        let open = identification.map(|rates| rates.and_then(|rates| rates.fnir_at_fpir));
        if let Some(OpenSetRate { fpir_limit, .. }) = open.iter().flatten().next() {
            let cells = open.map(|rate| percent_or_dash(rate.map(|rate| rate.fnir)));
            rows.push((format!("FNIR at FPIR {} %", fpir_limit * 100.0), cells));
        }
        self.pair_rows(&mut rows);
        rows
    }

    fn pair_rows(&self, rows: &mut Vec<(String, [String; 3])>) {
        let pairs =
            [&self.encrypted, &self.plaintext_quantised, &self.float].map(|rates| rates.pairs.as_ref());
        if pairs.iter().any(Option::is_some) {
            let cells = pairs.map(|rates| percent_or_dash(rates.map(|rates| rates.equal_error_rate)));
            rows.push(("pairs: EER".to_owned(), cells));
        }
        let accuracies = pairs.map(|rates| rates.and_then(|rates| rates.fold_accuracy));
        if let Some(folds) = accuracies.iter().flatten().next().map(|accuracy| accuracy.folds) {
            let cell = |accuracy: super::FoldAccuracy| format!("{:.3} %", accuracy.mean * 100.0);
            let cells = accuracies.map(|accuracy| accuracy.map_or_else(|| "-".to_owned(), cell));
            rows.push((format!("pairs: accuracy, {folds} folds"), cells));
        }
    }

    /// The report as JSON, indented.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, strings and lists always serialise")
    }

    fn write_heading(&self, out: &mut String) {
        let data = &self.data;
        let kind = if data.is_synthetic { "SYNTHETIC, " } else { "" };
        let (subjects, images) = (grouped(data.subjects), grouped(data.images));
        fact(
            out,
            "data set",
            &format!("{} ({kind}{subjects} subjects, {images} images, {}-d)", data.name, data.dimension),
        );
        fact(out, "parameter set", &self.parameter_set);
        let verification = &self.encrypted.verification;
        let (mated, non_mated) = (grouped(verification.mated), grouped(verification.non_mated));
        fact(out, "comparisons", &format!("{mated} mated, {non_mated} non-mated"));
        if let Some(rates) = &self.encrypted.identification {
            let (mated, non_mated) = (grouped(rates.mated_searches), grouped(rates.non_mated_searches));
            let enrolled = grouped(rates.enrolled);
            fact(
                out,
                "searches",
                &format!("{mated} mated, {non_mated} non-mated, {enrolled} subjects enrolled"),
            );
        }
        if let Some(pairs) = &self.encrypted.pairs {
            let (mated, non_mated) = (grouped(pairs.mated), grouped(pairs.non_mated));
            fact(out, "listed pairs", &format!("{mated} mated, {non_mated} non-mated"));
        }
        let (wrong, all) = (grouped(self.score_mismatches), grouped(self.comparisons));
        fact(out, "score mismatches", &format!("{wrong} of {all}, encrypted against quantised in the clear"));
        out.push('\n');
    }

    fn write_notes(&self, out: &mut String) {
        out.push_str("\nIn brackets: 95 % intervals (Wilson), taking comparisons as independent.\n");
        if self.encrypted.verification.fnmr_at_fmr.iter().any(super::FnmrAtFmr::is_uncertain) {
            out.push_str("* fewer than 30 false matches expected: too few comparisons for this FMR.\n");
        }
        if self.data.is_synthetic {
            out.push_str("The population is synthetic: these rates are not those of any sensor or model.\n");
        }
    }
}

fn fact(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "{name:<NAME_WIDTH$}{value}");
}

fn percent_or_dash(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| percent(&rate))
}

fn percent(rate: &Rate) -> String {
    format!("{:.3} % [{:.3}, {:.3}]", rate.value * 100.0, rate.lower * 100.0, rate.upper * 100.0)
}

/// Digits in groups of three: `87,549,528`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    digits.char_indices().fold(String::new(), |mut grouped, (at, digit)| {
        if at > 0 && at % 3 == first {
            grouped.push(',');
        }
        grouped.push(digit);
        grouped
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::embeddings::synthetic;
    use crate::evaluation::{BinnedTally, IntegerTally, SearchTally, inner_product, integer_inner_product};

    /// A small synthetic population: float scores and those of its coordinates times 31, rounded.
    pub(in super::super) fn example() -> Report {
        let population = synthetic(60, 4, 128, 9).unwrap();
        let rows: Vec<&[f32]> = population.embeddings().rows().collect();
        let quantised: Vec<Vec<i16>> =
            rows.iter().map(|row| row.iter().map(|v| (v * 31.0).round() as i16).collect()).collect();
        let subjects = population.labels().subjects();
        let (mut floats, mut integers) = (BinnedTally::cosine(), IntegerTally::new(1200));
        // The first image of every subject but each third one is enrolled, the others are probes.
        let enrolled: Vec<usize> =
            (0..rows.len()).filter(|i| i % 4 == 0 && !subjects[*i].is_multiple_of(3)).collect();
        let references: Vec<u32> = enrolled.iter().map(|&i| subjects[i]).collect();
        let mut float_searches = SearchTally::new(references.clone()).unwrap();
        let mut integer_searches = SearchTally::new(references).unwrap();
        for i in 0..rows.len() {
            for j in 0..i {
                let is_mated = subjects[i] == subjects[j];
                floats.record(inner_product(rows[i], rows[j]), is_mated).unwrap();
                integers.record(integer_inner_product(&quantised[i], &quantised[j]), is_mated).unwrap();
            }
            if i % 4 != 0 {
                let scores: Vec<f32> = enrolled.iter().map(|&j| inner_product(rows[i], rows[j])).collect();
                float_searches.record(subjects[i], &scores).unwrap();
                let score = |&j: &usize| integer_inner_product(&quantised[i], &quantised[j]);
                let scores: Vec<i32> = enrolled.iter().map(score).collect();
                integer_searches.record(subjects[i], &scores).unwrap();
            }
        }
        let integers = Rates {
            verification: VerificationRates::new(&integers.distribution().unwrap()),
            identification: Some(integer_searches.rates().unwrap()),
            pairs: None,
        };
        Report {
            data: DataSet {
                name: "a <small> example".into(),
                is_synthetic: true,
                subjects: 60,
                images: 240,
                dimension: 128,
            },
            parameter_set: "Exact41".into(),
            comparisons: 28_680,
            score_mismatches: 0,
            encrypted: integers.clone(),
            plaintext_quantised: integers,
            float: Rates {
                verification: VerificationRates::new(&floats.distribution().unwrap()),
                identification: Some(float_searches.rates().unwrap()),
                pairs: None,
            },
        }
    }

    #[test]
    fn the_table_states_every_figure_once_and_lines_up() {
        let report = example();
        let table = report.table();
        for text in [
            "SYNTHETIC, 60 subjects, 240 images, 128-d",
            "360 mated, 28,320 non-mated",
            "120 mated, 60 non-mated, 40 subjects enrolled",
            "0 of 28,680",
            "FNMR at FMR 1e-5 *",
            "FNIR at FPIR 1 %",
            "not those of any sensor",
        ] {
            assert_eq!(table.matches(text).count(), 1, "{text:?} in\n{table}");
        }
        let columns = table.lines().filter(|line| line.contains(" % ["));
        assert!(
            columns.clone().count() == 6 && columns.clone().all(|line| line.is_char_boundary(NAME_WIDTH))
        );
        for row in columns {
            assert!(row[NAME_WIDTH..].starts_with(|c: char| c.is_ascii_digit()), "{row}");
            assert!(row[NAME_WIDTH + CELL_WIDTH..].starts_with(|c: char| c.is_ascii_digit()), "{row}");
        }
    }

    #[test]
    fn listed_pairs_have_rows_of_their_own() {
        let mut report = example();
        assert!(!report.table().contains("pairs"));
        let mut tally = crate::evaluation::PairTally::default();
        for (score, is_mated, fold) in [(1.0, false, 0), (2.0, true, 0), (1.0, false, 1), (2.0, true, 1)] {
            tally.record(score, is_mated, Some(fold)).unwrap();
        }
        report.encrypted.pairs = Some(tally.rates().unwrap());
        let table = report.table();
        assert!(table.contains("listed pairs               2 mated, 2 non-mated\n"), "{table}");
        assert!(table.contains("pairs: accuracy, 2 folds   100.000 %  "), "{table}");
        assert!(
            table.lines().any(|line| line.starts_with("pairs: EER  ") && line.ends_with(" -")),
            "{table}"
        );
    }

    #[test]
    fn json_holds_what_the_table_and_the_plots_show() {
        let report = example();
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["data"]["is_synthetic"], true);
        assert_eq!(json["score_mismatches"], 0);
        for (name, rates) in [("encrypted", &report.encrypted), ("float", &report.float)] {
            let det = json[name]["verification"]["det"].as_array().unwrap();
            assert_eq!(det.len(), rates.verification.det.len());
            assert!(det.last().unwrap()["threshold"].is_null(), "the last point accepts nothing");
            let eer = json[name]["verification"]["equal_error_rate"]["value"].as_f64().unwrap();
            assert!((eer - rates.verification.equal_error_rate.value).abs() < 1e-12);
            assert_eq!(json[name]["identification"]["enrolled"], 40);
        }
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let cases =
            [(0, "0"), (999, "999"), (1000, "1,000"), (87_549_528, "87,549,528"), (123_456, "123,456")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
