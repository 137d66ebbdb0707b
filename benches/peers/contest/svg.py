"""A plot of horizontal bars on a logarithmic scale, as an SVG that reads well in light and dark."""

import dataclasses
import html
import math

WIDTH, NAMES, VALUES = 880, 350, 70
"""The picture, its column of names at the left and of values at the right, in pixels."""
ROW, BAR, HEAD = 24, 14, 34

STYLE = """
    .paper { fill: #ffffff; } text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .group { font-weight: 600; } .axis { font-size: 11px; fill: #59636e; } .grid { stroke: #d1d9e0; }
    .tyto { fill: #0969da; } .plain { fill: #8c959f; } .encrypted { fill: #bc4c00; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117; } text { fill: #f0f6fc; } .axis { fill: #9198a1; } .grid { stroke: #3d444d; }
      .tyto { fill: #58a6ff; } .plain { fill: #8b949e; } .encrypted { fill: #f0883e; }
    }
"""


@dataclasses.dataclass
class Bar:
    name: str
    kind: str
    """The class of its colour: `tyto`, `plain` or `encrypted`."""
    value: float
    label: str


def plot(title: str, axis: str, groups: list[tuple[str, list[Bar]]]) -> str:
    """Groups of bars, one below the other."""
    values = [bar.value for _, bars in groups for bar in bars]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right = NAMES, WIDTH - VALUES

    def x(value: float) -> float:
        return left + (right - left) * (math.log10(value) - low) / (high - low)

    rows: list[str] = []
    y = HEAD + 8
    for heading, bars in groups:
        rows.append(f'<text class="group" x="16" y="{y + 12}">{html.escape(heading)}</text>')
        y += ROW
        for bar in bars:
            rows.append(
                f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{html.escape(bar.name)}</text>'
                f'<rect class="{bar.kind}" x="{left}" y="{y}" width="{x(bar.value) - left:.1f}" height="{BAR}"/>'
                f'<text x="{x(bar.value) + 6:.1f}" y="{y + 12}">{html.escape(bar.label)}</text>'
            )
            y += ROW
        y += 8
    grid = []
    for power in range(low, high + 1):
        at = x(10.0**power)
        text = {0: "1", 3: "1 k", 6: "1 M", 9: "1 G"}.get(power)
        if text is None:
            unit = 3 * (power // 3)
            text = f"{10 ** (power - unit)} {({0: '', 3: 'k', 6: 'M'})[unit]}".strip()
        grid.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{HEAD}" y2="{y}"/>')
        grid.append(f'<text class="axis" x="{at:.1f}" y="{y + 15}" text-anchor="middle">{text}</text>')
    height = y + 42
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"  <title>{html.escape(title)}</title>",
        f"  <style>{STYLE}  </style>",
        f'  <rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
        f'  <text class="group" x="16" y="23">{html.escape(title)}</text>',
        *(f"  {line}" for line in grid + rows),
        f'  <text class="axis" x="{(left + right) / 2:.0f}" y="{y + 32}" text-anchor="middle">'
        f"{html.escape(axis)}</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
