//! DET and CMC plots, encrypted over float, as self-contained SVG.

use super::report::grouped;
use super::{IdentificationRates, OperatingPoint, Report};
use crate::svg::{Anchor, Canvas, Stroke};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 72.0;

const GRID: Stroke = Stroke::solid("#e2e2e2", 1.0);
const FAINT: Stroke = Stroke::solid("#f2f2f2", 1.0);
const FRAME: Stroke = Stroke::solid("#444444", 1.2);
const EER_LINE: Stroke = Stroke { colour: "#999999", width: 1.0, dashes: "2 4" };
/// Float lies below, wide and light; encrypted lies above, narrow and dashed: both show where they agree.
const FLOAT: Stroke = Stroke::solid("#f2a541", 6.0);
const ENCRYPTED: Stroke = Stroke { colour: "#123a6b", width: 2.0, dashes: "9 4" };

/// Decades of the DET plot's axes that are shown at least and at most.
const DECADES: std::ops::RangeInclusive<i32> = 2..=7;

/// Detection error trade-off: FNMR over FMR at all thresholds, both axes logarithmic.
pub fn det_svg(report: &Report) -> String {
    let verification = &report.encrypted.verification;
    // One comparison is the smallest error rate that can be seen.
    let lowest =
        |trials: u64| -((trials as f64).log10().ceil() as i32).clamp(*DECADES.start(), *DECADES.end());
    let plot = Plot {
        x: Axis::decades(lowest(verification.non_mated)),
        y: Axis::decades(lowest(verification.mated)),
    };
    let mut canvas = plot.canvas("Detection error trade-off", report);
    plot.axis_titles(
        &mut canvas,
        "False match rate, FMR (%), logarithmic",
        "False non-match rate, FNMR (%), logarithmic",
    );
    let lowest_common = plot.x.low.max(plot.y.low);
    canvas.line(plot.at(lowest_common, lowest_common), plot.at(0.0, 0.0), EER_LINE);
    let (x, y) = plot.at(lowest_common, lowest_common);
    canvas.text((x + 24.0, y - 10.0), Anchor::Start, 12, "FMR = FNMR");

    for (rates, stroke) in [(&report.float, FLOAT), (&report.encrypted, ENCRYPTED)] {
        canvas.polyline(&plot.trace(&rates.verification.det), stroke);
    }
    let percent = |rate: f64| format!("EER {:.3} %", rate * 100.0);
    let note = |rates: &super::Rates| percent(rates.verification.equal_error_rate.value);
    legend(&mut canvas, Corner::TopRight, &[note(&report.float), note(&report.encrypted)]);
    canvas.finish()
}

/// Cumulative match characteristic: TPIR over rank. None if no searches were made.
pub fn cmc_svg(report: &Report) -> Option<String> {
    let float = report.float.identification.as_ref()?;
    let encrypted = report.encrypted.identification.as_ref()?;
    let ranks = float.cmc.len().max(encrypted.cmc.len());
    let lowest = float.cmc.iter().chain(&encrypted.cmc).copied().fold(1.0, f64::min);
    let plot = Plot { x: Axis::ranks(ranks), y: Axis::shares(lowest) };
    let mut canvas = plot.canvas("Cumulative match characteristic", report);
    plot.axis_titles(
        &mut canvas,
        &format!("Rank (among {} enrolled subjects)", grouped(encrypted.enrolled)),
        "True positive identification rate, TPIR (%)",
    );

    let points = |rates: &IdentificationRates| -> Vec<(f64, f64)> {
        (1..).zip(&rates.cmc).map(|(rank, &share)| plot.at(f64::from(rank), share)).collect()
    };
    let (float_points, encrypted_points) = (points(float), points(encrypted));
    canvas.polyline(&float_points, FLOAT);
    for &point in &float_points {
        canvas.circle(point, 6.0, FLOAT.colour, FLOAT.colour);
    }
    canvas.polyline(&encrypted_points, ENCRYPTED);
    for &point in &encrypted_points {
        canvas.circle(point, 3.2, "#ffffff", ENCRYPTED.colour);
    }
    let note = |rates: &IdentificationRates| format!("rank 1: {:.2} %", rates.rank_1.value * 100.0);
    legend(&mut canvas, Corner::BottomRight, &[note(float), note(encrypted)]);
    Some(canvas.finish())
}

/// One axis in its own units (decimal exponents, ranks, shares) with labelled and unlabelled ticks.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
    minor: Vec<f64>,
}

impl Axis {
    /// From `10^lowest` to 1, in percent.
    fn decades(lowest: i32) -> Self {
        let percent = |exponent: i32| {
            let places = (-2 - exponent).max(0) as usize;
            (f64::from(exponent), format!("{:.places$}", 100.0 * 10f64.powi(exponent)))
        };
        let minor = (lowest..0)
            .flat_map(|exponent| (2..10).map(move |digit| f64::from(exponent) + f64::from(digit).log10()));
        Self {
            low: lowest.into(),
            high: 0.0,
            ticks: (lowest..=0).map(percent).collect(),
            minor: minor.collect(),
        }
    }

    /// From rank 1 to `last`.
    fn ranks(last: usize) -> Self {
        let ticks = (1..=last).map(|rank| (rank as f64, rank.to_string())).collect();
        Self { low: 0.5, high: last as f64 + 0.5, ticks, minor: Vec::new() }
    }

    /// From a round share below `lowest` to 1, in percent, with four to twelve ticks.
    fn shares(lowest: f64) -> Self {
        let missing = (1.0 - lowest).clamp(0.002, 1.0);
        let steps = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
        let step = steps.into_iter().find(|step| missing / step <= 10.0).unwrap_or(0.1);
        // One step of room below the lowest point, as far as there is.
        let count = ((missing / step).ceil() as i32 + 1).min((1.0 / step).round() as i32);
        let places = if step < 0.001 { 2 } else { usize::from(step < 0.01) };
        let tick = |index: i32| {
            let share = 1.0 - step * f64::from(index);
            (share, format!("{:.places$}", share.abs() * 100.0))
        };
        let ticks: Vec<_> = (0..=count).map(tick).collect();
        // Half a step above 100 %, so that the curve does not hide in the frame.
        let low = ticks.last().map_or(0.0, |tick| tick.0);
        Self { low, high: 1.0 + step / 2.0, ticks, minor: Vec::new() }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

#[derive(Clone, Copy)]
enum Corner {
    TopRight,
    BottomRight,
}

struct Plot {
    x: Axis,
    y: Axis,
}

impl Plot {
    /// The pixel of a point in the axes' units.
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let width = WIDTH - LEFT - RIGHT;
        let height = HEIGHT - TOP - BOTTOM;
        (LEFT + width * self.x.share(x), TOP + height * (1.0 - self.y.share(y)))
    }

    /// The canvas with title, grid, frame and tick labels.
    fn canvas(&self, title: &str, report: &Report) -> Canvas {
        let data = &report.data;
        let kind = if data.is_synthetic { ", synthetic" } else { "" };
        let subtitle = format!(
            "{}{kind}: {} subjects, {} images, {}-d; {}",
            data.name,
            grouped(data.subjects),
            grouped(data.images),
            data.dimension,
            report.parameter_set
        );
        let mut canvas = Canvas::new(WIDTH, HEIGHT, &format!("{title}: {}", data.name));
        canvas.bold_text((LEFT, 28.0), Anchor::Start, 18, title);
        canvas.text((LEFT, 50.0), Anchor::Start, 13, &subtitle);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let column = |value: f64| self.at(value, self.y.low).0;
        let row = |value: f64| self.at(self.x.low, value).1;
        for &value in &self.x.minor {
            canvas.line((column(value), TOP), (column(value), bottom), FAINT);
        }
        for &value in &self.y.minor {
            canvas.line((LEFT, row(value)), (right, row(value)), FAINT);
        }
        for (value, label) in &self.x.ticks {
            canvas.line((column(*value), TOP), (column(*value), bottom), GRID);
            canvas.text((column(*value), bottom + 20.0), Anchor::Middle, 13, label);
        }
        for (value, label) in &self.y.ticks {
            canvas.line((LEFT, row(*value)), (right, row(*value)), GRID);
            canvas.text((LEFT - 9.0, row(*value) + 4.5), Anchor::End, 13, label);
        }
        canvas.polyline(&[(LEFT, TOP), (LEFT, bottom), (right, bottom), (right, TOP), (LEFT, TOP)], FRAME);
        canvas
    }

    fn axis_titles(&self, canvas: &mut Canvas, x: &str, y: &str) {
        let (middle, bottom) = (self.at(f64::midpoint(self.x.low, self.x.high), 0.0).0, HEIGHT - BOTTOM);
        canvas.text((middle, bottom + 50.0), Anchor::Middle, 15, x);
        canvas.upward_text((26.0, f64::midpoint(TOP, bottom)), 15, y);
    }

    /// A curve of error rates, cut where it leaves the plot. Rates of zero lie on the frame.
    fn trace(&self, det: &[OperatingPoint]) -> Vec<(f64, f64)> {
        let log = |rate: f64, axis: &Axis| rate.log10().max(axis.low);
        let inside = |point: &OperatingPoint| {
            log(point.fmr, &self.x) > self.x.low || log(point.fnmr, &self.y) > self.y.low
        };
        det.iter()
            .filter(|point| inside(point))
            .map(|point| self.at(log(point.fmr, &self.x), log(point.fnmr, &self.y)))
            .collect()
    }
}

fn legend(canvas: &mut Canvas, corner: Corner, [float, encrypted]: &[String; 2]) {
    let (width, height) = (286.0, 62.0);
    let x = WIDTH - RIGHT - width - 14.0;
    let y = match corner {
        Corner::TopRight => TOP + 14.0,
        Corner::BottomRight => HEIGHT - BOTTOM - height - 14.0,
    };
    canvas.rectangle(x, y, width, height, "#ffffff");
    canvas.polyline(&[(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)], GRID);
    for (line, stroke, name, note) in [(0, FLOAT, "float", float), (1, ENCRYPTED, "encrypted", encrypted)] {
        let middle = y + 20.0 + 24.0 * f64::from(line);
        canvas.line((x + 12.0, middle), (x + 56.0, middle), stroke);
        canvas.text((x + 68.0, middle + 4.5), Anchor::Start, 14, &format!("{name}, {note}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::example;
    use super::*;

    #[test]
    fn plots_name_axes_units_curves_and_figures() {
        let report = example();
        let det = det_svg(&report);
        let cmc = cmc_svg(&report).unwrap();
        for text in [
            "False match rate, FMR (%)",
            "False non-match rate, FNMR (%)",
            ">float, EER ",
            ">encrypted, EER ",
        ] {
            assert!(det.contains(text), "{text}");
        }
        for text in ["Rank (among 40 enrolled subjects)", "TPIR (%)", "rank 1: "] {
            assert!(cmc.contains(text), "{text}");
        }
        for svg in [&det, &cmc] {
            assert!(svg.contains("a &lt;small&gt; example, synthetic") && !svg.contains("NaN"));
            assert_eq!(svg.matches(FLOAT.colour).count() > 1, svg.matches(ENCRYPTED.colour).count() > 1);
        }
    }

    #[test]
    fn every_point_lies_inside_the_picture() {
        let svg = det_svg(&example());
        let points =
            svg.split("points=\"").skip(1).flat_map(|rest| rest.split('"').next().unwrap().split(' '));
        let mut count = 0;
        for point in points {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
            count += 1;
        }
        assert!(count > 100);
    }

    #[test]
    fn a_report_without_searches_has_no_cmc() {
        let mut report = example();
        report.float.identification = None;
        assert!(cmc_svg(&report).is_none());
    }

    #[test]
    fn share_axes_hold_their_points_with_room_to_spare() {
        for lowest in [0.0, 0.05, 0.5, 0.9, 0.991, 0.9999, 1.0] {
            let axis = Axis::shares(lowest);
            assert!(axis.low <= lowest && axis.low > -1e-9 && axis.high > 1.0, "{lowest}");
            assert!((3..=13).contains(&axis.ticks.len()), "{lowest}: {} ticks", axis.ticks.len());
        }
    }
}
