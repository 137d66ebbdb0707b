//! A small writer of SVG: elements with escaped text, nothing fetched from elsewhere.

use std::fmt::{Display, Write as _};

/// Where text is anchored.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a point is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    None,
    Disc,
    Square,
}

/// How a line is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Stroke {
    pub(crate) colour: &'static str,
    pub(crate) width: f64,
    /// SVG's `stroke-dasharray`; empty for a solid line.
    pub(crate) dashes: &'static str,
}

impl Stroke {
    pub(crate) const fn solid(colour: &'static str, width: f64) -> Self {
        Self { colour, width, dashes: "" }
    }

    fn attributes(self) -> String {
        let Self { colour, width, dashes } = self;
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        format!(
            "fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes} stroke-linejoin=\"round\""
        )
    }
}

/// A picture under construction; coordinates are pixels from the top left.
pub(crate) struct Canvas {
    body: String,
    width: f64,
    height: f64,
}

impl Canvas {
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self { body: String::new(), width, height };
        canvas.push(format_args!("<title>{}</title>", escape(title)));
        canvas.rectangle(0.0, 0.0, width, height, "#ffffff");
        canvas
    }

    /// For use within a page, whose colours shine through.
    pub(crate) fn within_page(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self { body: String::new(), width, height };
        canvas.push(format_args!("<title>{}</title>", escape(title)));
        canvas
    }

    pub(crate) fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.polyline(&[from, to], stroke);
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        self.push(format_args!("<polyline points=\"{}\" {}/>", path.trim_end(), stroke.attributes()));
    }

    pub(crate) fn circle(&mut self, centre: (f64, f64), radius: f64, fill: &str, stroke: &str) {
        let (x, y) = centre;
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.5\"/>"
        ));
    }

    /// A marker that says what it stands for when it is pointed at.
    pub(crate) fn marker(&mut self, marker: Marker, (x, y): (f64, f64), colour: &str, says: &str) {
        const SIZE: f64 = 4.0;
        let shape = match marker {
            Marker::None => return,
            Marker::Disc => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{SIZE}\" fill=\"{colour}\""),
            Marker::Square => format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width}\" height=\"{width}\" fill=\"var(--card)\" \
                 stroke=\"{colour}\" stroke-width=\"2\"",
                x - SIZE,
                y - SIZE,
                width = 2.0 * SIZE
            ),
        };
        let element = if shape.starts_with("<circle") { "circle" } else { "rect" };
        self.push(format_args!("{shape}><title>{}</title></{element}>", escape(says)));
    }

    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, size: u32, text: &str) {
        self.styled_text(at, anchor, size, "", text);
    }

    pub(crate) fn bold_text(&mut self, at: (f64, f64), anchor: Anchor, size: u32, text: &str) {
        self.styled_text(at, anchor, size, " font-weight=\"bold\"", text);
    }

    /// Text that reads upwards.
    pub(crate) fn upward_text(&mut self, at: (f64, f64), size: u32, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {:.1} {:.1})\"", at.0, at.1);
        self.styled_text(at, Anchor::Middle, size, &turn, text);
    }

    fn styled_text(&mut self, at: (f64, f64), anchor: Anchor, size: u32, style: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let ((x, y), text) = (at, escape(text));
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{style}>{text}</text>"
        ));
    }

    pub(crate) fn finish(self) -> String {
        let Self { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" fill=\"#222222\">\n{body}</svg>\n"
        )
    }

    /// The picture as a part of a page: as wide as there is room, in the page's font and colour of text.
    pub(crate) fn finish_within_page(self) -> String {
        let Self { body, width, height } = self;
        format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" fill=\"currentColor\">\n{body}</svg>\n")
    }

    fn push(&mut self, element: impl Display) {
        let _ = writeln!(self.body, "{element}");
    }
}

/// `text` as XML character data or attribute value. Characters that XML 1.0 does not allow become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let mut canvas = Canvas::new(10.0, 10.0, "</title><script>");
        canvas.text((1.0, 1.0), Anchor::Start, 9, "a & \"b\"\u{1}");
        let svg = canvas.finish();
        assert!(svg.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
        assert!(svg.contains(">a &amp; &quot;b&quot;\u{fffd}</text>"));
    }
}
