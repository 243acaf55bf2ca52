"""Plots as SVG, written by hand: bars and lines, readable on a light and on a dark page, with no library behind them."""

import html
import math

COLOURS = ("#2f7ed8", "#e08a1e", "#2e9d5b", "#c9504c", "#8b62c9", "#1f9aa5", "#b0608f", "#7d8790")
STYLE = ("text{font:12px system-ui,sans-serif;fill:#444}.title{font-size:14px;font-weight:600}.small{font-size:11px}"
         "line,path{stroke:#bbb;fill:none}.grid{stroke-width:.5}.curve{stroke-width:2}"
         "@media(prefers-color-scheme:dark){text{fill:#ccc}line{stroke:#555}}")
WIDTH = 720


def number(v):
    """Short: 1200 as 1.2k."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if v >= limit:
            return f"{v / limit:.3g}{suffix}"
    return f"{v:.3g}"


class Svg:
    def __init__(self, height, title):
        self.height, self.parts = height, []
        self.text(8, 20, title, "title")

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{html.escape(str(text))}</text>')

    def line(self, x1, y1, x2, y2, kind="grid"):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def rectangle(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}"/>')

    def curve(self, points, colour):
        path = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{path}" class="curve" style="stroke:{colour}"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')

    def __str__(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" height="{self.height}">'
                f"<style>{STYLE}</style>\n" + "\n".join(self.parts) + "\n</svg>\n")


def decades(low, high):
    """Powers of ten around the values."""
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def bars(title, unit, rows, colours):
    """rows: (label, value); one bar each, from 0."""
    left, top, step = 250, 34, 24
    svg = Svg(top + step * len(rows) + 8, f"{title}, {unit}")
    most = max(v for _, v in rows)
    for i, (label, value) in enumerate(rows):
        y = top + i * step
        width = (WIDTH - left - 70) * value / most if most else 0
        svg.text(left - 8, y + 14, label, anchor="end")
        svg.rectangle(left, y + 3, width, step - 8, colours[label])
        svg.text(left + width + 6, y + 14, number(value), "small")
    return str(svg)


def lines(title, x_name, y_name, curves, colours):
    """curves: {label: [(x, y), …]}, positive; both axes logarithmic."""
    left, right, top, bottom = 60, 200, 40, 340
    svg = Svg(bottom + 46, title)
    points = [p for c in curves.values() for p in c]
    xs, ys = decades(min(p[0] for p in points), max(p[0] for p in points)), decades(min(p[1] for p in points), max(p[1] for p in points))
    x_span, y_span = max(1, xs[-1] - xs[0]), max(1, ys[-1] - ys[0])

    def place(x, y):
        return (left + (WIDTH - left - right) * (math.log10(x) - xs[0]) / x_span,
                bottom - (bottom - top) * (math.log10(y) - ys[0]) / y_span)

    for d in xs:
        x = place(10.0**d, 10.0 ** ys[0])[0]
        svg.line(x, top, x, bottom)
        svg.text(x, bottom + 16, number(10.0**d), "small", "middle")
    for d in ys:
        y = place(10.0 ** xs[0], 10.0**d)[1]
        svg.line(left, y, WIDTH - right, y)
        svg.text(left - 6, y + 4, number(10.0**d), "small", "end")
    svg.text((left + WIDTH - right) / 2, bottom + 36, x_name, anchor="middle")
    svg.text(left - 52, top - 8, y_name)
    for i, (label, curve) in enumerate(curves.items()):
        placed = [place(*p) for p in curve]
        svg.curve(placed, colours[label])
        for p in placed:
            svg.dot(*p, colours[label])
        y = top + 8 + i * 20
        svg.rectangle(WIDTH - right + 16, y - 9, 10, 10, colours[label])
        svg.text(WIDTH - right + 32, y, label)
    return str(svg)


def timeline(title, unit, curves, colours):
    """curves: {label: values, one for each 100 ms}; a lane each, from 0 to its own greatest value."""
    left, top, lane = 250, 34, 56
    svg = Svg(top + lane * len(curves) + 30, f"{title}, {unit}")
    longest = max(len(c) for c in curves.values())
    width = WIDTH - left - 70
    for i, (label, values) in enumerate(curves.items()):
        base = top + (i + 1) * lane - 8
        most = max(values) or 1
        svg.text(left - 8, base - 14, label, anchor="end")
        svg.text(left + width + 6, base - lane + 22, number(most * 10), "small")
        svg.line(left, base, left + width, base)
        for k, v in enumerate(values):
            if v:
                h = (lane - 16) * v / most
                svg.rectangle(left + width * k / longest, base - h, width / longest, h, colours[label])
    for s in range(0, longest // 10 + 1, 5):
        svg.text(left + width * s * 10 / longest, top + lane * len(curves) + 14, f"{s} s", "small", "middle")
    return str(svg)
