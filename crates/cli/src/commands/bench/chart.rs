//! A chart of lines and points with labelled axes, as part of a page.

use std::fmt::Write as _;

use crate::svg::{Anchor, Canvas, Marker, Stroke, escape};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 370.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 54.0;
const TEXT: u32 = 13;

const GRID: Stroke = Stroke::solid("var(--grid)", 1.0);
const FRAME: Stroke = Stroke::solid("var(--muted)", 1.0);
const MARK: Stroke = Stroke { colour: "var(--muted)", width: 1.0, dashes: "2 4" };
/// Pixels that the label of a mark takes.
const MARK_LABEL_WIDTH: f64 = 84.0;

/// Most ticks of an axis.
const MAX_TICKS: usize = 8;

/// One axis.
pub(super) struct Axis {
    title: String,
    is_log: bool,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Logarithmic, between numbers of 1, 2 or 5 times a power of ten.
    pub(super) fn decades(title: &str, values: &[f64]) -> Self {
        let (low, high) = (round_125(least(values), -1), round_125(most(values), 1));
        let high = high.max(2.0 * low);
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let at = |digits: &[f64]| -> Vec<f64> {
            let all =
                (first..=last).flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)));
            all.filter(|tick| (low * 0.999..=high * 1.001).contains(tick)).collect()
        };
        let fine = at(&[1.0, 2.0, 5.0]);
        let ticks = if fine.len() <= MAX_TICKS { fine } else { at(&[1.0]) };
        Self { title: title.to_owned(), is_log: true, low, high, ticks: labelled(ticks) }
    }

    /// Logarithmic, with ticks at powers of two of `unit` from below the least value to above the greatest.
    pub(super) fn doublings(title: &str, values: &[f64], label: impl Fn(f64) -> String) -> Self {
        let (low, high) = (least(values).log2().floor() as i32, most(values).log2().ceil() as i32);
        let high = high.max(low + 1);
        let step = ((high - low) as usize).div_ceil(MAX_TICKS).max(1);
        let ticks = (low..=high).step_by(step).map(|power| 2f64.powi(power));
        let ticks = ticks.map(|tick| (tick, label(tick))).collect();
        Self { title: title.to_owned(), is_log: true, low: 2f64.powi(low), high: 2f64.powi(high), ticks }
    }

    /// Logarithmic, with ticks at the values themselves.
    pub(super) fn at(title: &str, values: &[f64]) -> Self {
        let ticks = labelled(values.to_vec());
        // Half a doubling of room on both sides.
        Self {
            title: title.to_owned(),
            is_log: true,
            low: least(values) / 1.4,
            high: most(values) * 1.4,
            ticks,
        }
    }

    /// Linear from zero.
    pub(super) fn from_zero(title: &str, values: &[f64]) -> Self {
        let most = most(values);
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * 10f64.powf((most / 6.0).log10().floor()));
        let step = step.into_iter().find(|step| most / step <= 6.0).unwrap_or(most);
        let count = (most / step).ceil() as u32;
        let ticks = (0..=count).map(|index| step * f64::from(index)).collect();
        Self {
            title: title.to_owned(),
            is_log: false,
            low: 0.0,
            high: step * f64::from(count),
            ticks: labelled(ticks),
        }
    }

    /// Linear, one tick for each of some whole numbers.
    pub(super) fn counts(title: &str, values: &[f64]) -> Self {
        let (low, high) = (least(values), most(values));
        let margin = ((high - low) * 0.06).max(0.12);
        Self {
            title: title.to_owned(),
            is_log: false,
            low: low - margin,
            high: high + margin,
            ticks: labelled(values.to_vec()),
        }
    }

    /// Its ends.
    pub(super) fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.is_log { value.log2() } else { value };
        (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The next number of 1, 2 or 5 times a power of ten, below (-1) or above (1).
fn round_125(value: f64, direction: i32) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let candidates = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let found = if direction < 0 {
        candidates.into_iter().rfind(|&candidate| candidate <= value)
    } else {
        candidates.into_iter().find(|&candidate| candidate >= value)
    };
    found.unwrap_or(value)
}

fn labelled(ticks: Vec<f64>) -> Vec<(f64, String)> {
    ticks.into_iter().map(|tick| (tick, number(tick))).collect()
}

/// A number with three digits at most behind its point, and no zeros at its end.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A line through points.
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: String,
    /// A colour that the page defines.
    pub(super) colour: &'static str,
    /// SVG's `stroke-dasharray`.
    pub(super) dashes: &'static str,
    pub(super) marker: Marker,
    /// Whether the points are joined.
    pub(super) is_line: bool,
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    fn stroke(&self) -> Stroke {
        Stroke { colour: self.colour, width: 2.0, dashes: self.dashes }
    }
}

/// A place on the horizontal axis with a name.
pub(super) struct Mark {
    pub(super) at: f64,
    pub(super) label: String,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What is seen, in a sentence.
    pub(super) caption: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    pub(super) marks: Vec<Mark>,
}

impl Chart {
    /// A figure with caption and legend.
    pub(super) fn html(&self) -> String {
        let mut legend = String::new();
        for series in &self.series {
            let _ = write!(legend, "<li>{}{}</li>", swatch(series), escape(&series.name));
        }
        format!(
            "<figure>\n<figcaption><h3>{}</h3><p>{}</p></figcaption>\n{}<ul class=\"legend\">{legend}</ul>\n</figure>\n",
            escape(self.title),
            escape(&self.caption),
            self.picture()
        )
    }

    fn picture(&self) -> String {
        let mut canvas = Canvas::within_page(WIDTH, HEIGHT, self.title);
        self.draw_axes(&mut canvas);
        self.draw_marks(&mut canvas);
        for series in self.series.iter().filter(|series| series.is_line) {
            let points: Vec<_> = series.points.iter().map(|&point| self.at(point)).collect();
            canvas.polyline(&points, series.stroke());
        }
        for series in &self.series {
            for &(x, y) in &series.points {
                let says = format!("{}: {} at {}", series.name, number(y), number(x));
                canvas.marker(series.marker, self.at((x, y)), series.colour, &says);
            }
        }
        canvas.finish_within_page()
    }

    /// The pixel of a point.
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        (LEFT + width * self.x.place(x), TOP + height * (1.0 - self.y.place(y)))
    }

    fn draw_axes(&self, canvas: &mut Canvas) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, label) in &self.y.ticks {
            let y = self.at((self.x.low, *value)).1;
            canvas.line((LEFT, y), (right, y), GRID);
            canvas.text((LEFT - 8.0, y + 4.5), Anchor::End, TEXT, label);
        }
        for (value, label) in &self.x.ticks {
            let x = self.at((*value, self.y.low)).0;
            canvas.line((x, bottom), (x, bottom + 5.0), FRAME);
            canvas.text((x, bottom + 20.0), Anchor::Middle, TEXT, label);
        }
        canvas.line((LEFT, bottom), (right, bottom), FRAME);
        canvas.text((4.0, 16.0), Anchor::Start, TEXT, &self.y.title);
        canvas.text((f64::midpoint(LEFT, right), HEIGHT - 10.0), Anchor::Middle, TEXT, &self.x.title);
    }

    /// Marks outside of the axis are left out; labels of near ones stand below each other.
    fn draw_marks(&self, canvas: &mut Canvas) {
        let mut lines: Vec<f64> = Vec::new();
        for mark in self.marks.iter().filter(|mark| (self.x.low..=self.x.high).contains(&mark.at)) {
            let x = self.at((mark.at, self.y.low)).0;
            let is_far_right = x + MARK_LABEL_WIDTH > WIDTH - RIGHT;
            let start = if is_far_right { x - MARK_LABEL_WIDTH } else { x };
            let row = lines.iter().position(|&end| end <= start).unwrap_or(lines.len());
            if row == lines.len() {
                lines.push(0.0);
            }
            lines[row] = start + MARK_LABEL_WIDTH;
            let y = TOP + 12.0 + 16.0 * row as f64;
            canvas.line((x, TOP), (x, HEIGHT - BOTTOM), MARK);
            let (anchor, x) = if is_far_right { (Anchor::End, x - 5.0) } else { (Anchor::Start, x + 5.0) };
            canvas.text((x, y), anchor, TEXT - 1, &mark.label);
        }
    }
}

/// A piece of the line for the legend.
fn swatch(series: &Series) -> String {
    let mut canvas = Canvas::within_page(34.0, 12.0, &series.name);
    if series.is_line {
        canvas.line((1.0, 6.0), (33.0, 6.0), series.stroke());
    }
    canvas.marker(series.marker, (17.0, 6.0), series.colour, &series.name);
    canvas.finish_within_page()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_their_values_and_have_some_ticks() {
        for values in [[0.003, 0.9], [3.0, 41.0], [1.0, 1.0], [99.0, 101.0], [0.5, 70_000.0]] {
            for axis in [
                Axis::decades("y", &values),
                Axis::from_zero("y", &values),
                Axis::doublings("x", &values, number),
                Axis::at("x", &values),
                Axis::counts("x", &values),
            ] {
                assert!((1..=10).contains(&axis.ticks.len()), "{values:?}: {:?}", axis.ticks);
                for value in values {
                    assert!((-1e-9..=1.0 + 1e-9).contains(&axis.place(value)), "{values:?}: {value}");
                }
                for (tick, _) in &axis.ticks {
                    assert!((-1e-9..=1.0 + 1e-9).contains(&axis.place(*tick)), "{values:?}: tick {tick}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.05, 1.0, 2.5, 200.0, 0.0].map(number), ["0.05", "1", "2.5", "200", "0"]);
    }

    #[test]
    fn labels_of_near_marks_do_not_overlap() {
        let mark = |at: f64| Mark { at, label: format!("mark {at}") };
        let series = Series {
            name: "a <b>".to_owned(),
            colour: "var(--s1)",
            dashes: "",
            marker: Marker::Disc,
            is_line: true,
            points: vec![(1.0, 1.0), (64.0, 2.0)],
        };
        let chart = Chart {
            title: "T",
            caption: "c".to_owned(),
            x: Axis::doublings("x", &[1.0, 64.0], number),
            y: Axis::from_zero("y", &[2.0]),
            series: vec![series],
            marks: vec![mark(2.0), mark(2.5), mark(60.0), mark(1000.0)],
        };
        let html = chart.html();
        let place = |label: &str| {
            let before = html.split(&format!(">{label}<")).next().unwrap();
            before.rsplit_once("y=\"").unwrap().1.split('"').next().unwrap().to_owned()
        };
        assert_ne!(place("mark 2"), place("mark 2.5"));
        assert!(html.contains("mark 60") && !html.contains("mark 1000"));
        assert!(html.contains("a &lt;b&gt;") && !html.contains("NaN"));
    }
}
