//! The picture of some runs: a panel each, all on one axis of time, a lane for copies and one for kernels.

use std::fmt::{Arguments, Write as _};

use super::timeline::{Span, Timeline};

/// A run, and what is said above it.
pub(crate) struct Panel<'a> {
    pub(crate) heading: String,
    pub(crate) timeline: &'a Timeline,
}

const WIDTH: f64 = 960.0;
/// Where the time begins and ends. To the left are the names of the lanes, to the right the totals.
const LEFT: f64 = 92.0;
const RIGHT: f64 = 866.0;
/// Of the first panel.
const TOP: f64 = 104.0;
const PANEL: f64 = 124.0;
const HEADING: f64 = 30.0;
const LANE: f64 = 40.0;
const BAR: f64 = 32.0;
/// Of a line of text that is centred in a bar, from its top.
const BASELINE: f64 = BAR / 2.0 + 5.0;

const COPY: &str = "#a9c8e8";
const KERNEL: &str = "#f3cf9f";
const TEXT: &str = "#2f3b47";
const FAINT: &str = "#66727e";
const GRID: &str = "#e3e8ed";

/// The picture, as the text of an SVG file.
pub(crate) fn svg(title: &str, subtitle: &str, panels: &[Panel<'_>]) -> String {
    let mut picture = Picture { scale: Scale::of(panels), svg: String::new() };
    let bottom = panels.iter().fold(TOP, |top, _| top + PANEL);
    picture.begin(title, bottom + 28.0);
    picture.text(Text { size: 20, bold: true, ..at(24.0, 36.0) }, title);
    picture.text(Text { fill: FAINT, ..at(24.0, 62.0) }, subtitle);
    picture.legend(81.0);
    picture.axis(bottom);
    for (panel, top) in panels.iter().zip((0..).map(|index| TOP + PANEL * f64::from(index))) {
        picture.panel(panel, top);
    }
    picture.svg.push_str("</svg>\n");
    picture.svg
}

/// From milliseconds to the picture.
#[derive(Clone, Copy)]
struct Scale {
    /// A round number of milliseconds between two marks, and how many decimals it has.
    step: f64,
    decimals: usize,
    /// Where the axis ends: at the last mark.
    marks: u32,
}

impl Scale {
    fn of(panels: &[Panel<'_>]) -> Self {
        let end = panels.iter().map(|panel| panel.timeline.end()).fold(f64::MIN_POSITIVE, f64::max);
        // From a microsecond on, a mark in so many that there are at most twelve.
        let steps = (0..).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit * 10_f64.powi(power - 3), power)));
        let (step, power) = steps.into_iter().find(|(step, _)| end / step <= 12.0).unwrap_or((end, 0));
        let marks = (0..=12).find(|marks| f64::from(*marks) * step >= end).unwrap_or(12);
        Self { step, decimals: usize::try_from(3 - power).unwrap_or(0), marks }
    }

    /// Where a mark is, and what it means in milliseconds.
    fn mark(self, mark: u32) -> (f64, f64) {
        let millis = f64::from(mark) * self.step;
        (self.x(millis), millis)
    }

    fn x(self, millis: f64) -> f64 {
        LEFT + millis / (self.step * f64::from(self.marks)) * (RIGHT - LEFT)
    }
}

struct Picture {
    scale: Scale,
    svg: String,
}

/// How and where something is written.
struct Text {
    x: f64,
    y: f64,
    size: u8,
    bold: bool,
    fill: &'static str,
    anchor: &'static str,
}

fn at(x: f64, y: f64) -> Text {
    Text { x, y, size: 14, bold: false, fill: TEXT, anchor: "start" }
}

impl Picture {
    fn begin(&mut self, title: &str, height: f64) {
        let title = escaped(title);
        self.line(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"><title>{title}</title>"#
        ));
        self.line(format_args!(r##"<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>"##));
    }

    /// What the colours mean.
    fn legend(&mut self, y: f64) {
        for (x, fill, meaning) in [(24.0, COPY, "copy of a chunk to the device"), (300.0, KERNEL, "kernel that computes on the chunk")] {
            self.line(format_args!(r#"<rect x="{x}" y="{y}" width="20" height="14" rx="2" fill="{fill}"/>"#));
            self.text(at(x + 28.0, y + 12.0), meaning);
        }
    }

    /// What the marks of all panels mean.
    fn axis(&mut self, bottom: f64) {
        for mark in 0..=self.scale.marks {
            let (x, millis) = self.scale.mark(mark);
            let label = format!("{millis:.*} ms", self.scale.decimals);
            self.text(Text { fill: FAINT, anchor: "middle", ..at(x, bottom + 12.0) }, &label);
        }
    }

    fn panel(&mut self, Panel { heading, timeline }: &Panel<'_>, top: f64) {
        self.text(Text { size: 15, bold: true, ..at(24.0, top + 20.0) }, heading);
        let top = top + HEADING;
        let bottom = top + 2.0 * LANE;
        for mark in 0..=self.scale.marks {
            let (x, _) = self.scale.mark(mark);
            self.upright(x, top, bottom + 4.0, format_args!(r#"stroke="{GRID}""#));
        }
        let lanes = [("copies", "copy", COPY, &timeline.copies), ("kernels", "kernel", KERNEL, &timeline.kernels)];
        let mut y = top + (LANE - BAR) / 2.0;
        for (name, one, fill, spans) in lanes {
            self.text(Text { anchor: "end", ..at(LEFT - 12.0, y + BASELINE) }, name);
            for (chunk, span) in spans.iter().enumerate() {
                self.bar(*span, y, fill, one, chunk);
            }
            y += LANE;
        }
        // The end of the run, with its time.
        let x = self.scale.x(timeline.end());
        self.upright(x, top, bottom, format_args!(r#"stroke="{TEXT}" stroke-width="1.5" stroke-dasharray="4 3""#));
        self.line(format_args!(r##"<rect x="{:.1}" y="{top:.1}" width="76" height="{LANE}" fill="#ffffff"/>"##, x + 2.0));
        self.text(Text { bold: true, ..at(x + 8.0, top + (LANE - BAR) / 2.0 + BASELINE) }, &format!("{:.2} ms", timeline.end()));
    }

    /// A copy or a kernel, with the number of its chunk where there is room for it.
    fn bar(&mut self, span: Span, y: f64, fill: &str, what: &str, chunk: usize) {
        let (x, end) = (self.scale.x(span.begin), self.scale.x(span.end));
        let width = (end - x).max(1.0);
        self.line(format_args!(
            r##"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}" rx="2" fill="{fill}" stroke="#ffffff"><title>{what} of chunk {chunk}: {:.3} ms to {:.3} ms</title></rect>"##,
            span.begin, span.end
        ));
        let number = chunk.to_string();
        if f64::from(u8::try_from(number.len()).unwrap_or(u8::MAX)).mul_add(9.0, 4.0) <= width {
            self.text(Text { anchor: "middle", ..at(x + width / 2.0, y + BASELINE) }, &number);
        }
    }

    fn upright(&mut self, x: f64, top: f64, bottom: f64, stroke: Arguments<'_>) {
        self.line(format_args!(r#"<line x1="{x:.1}" y1="{top:.1}" x2="{x:.1}" y2="{bottom:.1}" {stroke}/>"#));
    }

    fn text(&mut self, Text { x, y, size, bold, fill, anchor }: Text, text: &str) {
        let (weight, text) = (if bold { 600 } else { 400 }, escaped(text));
        self.line(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    fn line(&mut self, element: Arguments<'_>) {
        writeln!(self.svg, "{element}").expect("a string takes everything");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
