"""Draws loop.svg, the figure at the top of the README: ``python docs/images/loop.py`` writes it beside this file.

The picture has a background of its own and two sets of colours, so that it reads on light and on dark pages.
"""

from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 372
STYLE = """
  .card { fill: #ffffff; stroke: #d0d7de }
  .box { fill: #f3f6fa; stroke: #57606a; stroke-width: 1.2 }
  .dft { fill: #fff3e0; stroke: #b26a00 }
  .model { fill: #e6f1ff; stroke: #1c62b9 }
  .found { fill: #e6f6ea; stroke: #1a7f37 }
  .line { fill: none; stroke: #57606a; stroke-width: 1.6 }
  .learn { stroke: #1c62b9; stroke-dasharray: 6 4 }
  .audit { stroke: #b26a00; stroke-dasharray: 2 4 }
  .head { fill: #57606a }
  text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; text-anchor: middle }
  .title { font-size: 16px; font-weight: 600 }
  .small { font-size: 12.5px; fill: #424a53 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #161b22; stroke: #30363d }
    .box { fill: #21262d; stroke: #8b949e }
    .dft { fill: #3a2a10; stroke: #d29922 }
    .model { fill: #12294a; stroke: #58a6ff }
    .found { fill: #12351d; stroke: #3fb950 }
    .line { stroke: #8b949e }
    .learn { stroke: #58a6ff }
    .audit { stroke: #d29922 }
    .head { fill: #8b949e }
    text { fill: #e6edf3 }
    .small { fill: #b1bac4 }
  }
"""


def box(x: int, y: int, title: str, lines: tuple[str, ...], kind: str = "", *, width: int = 160) -> str:
    """A box whose upper left corner is at x, y (pixels), with a title and lines below it."""
    height = 44 + 18 * len(lines)
    middle = x + width // 2
    texts = [f'<text class="title" x="{middle}" y="{y + 26}">{escape(title)}</text>']
    texts += [
        f'<text class="small" x="{middle}" y="{y + 47 + 18 * number}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    frame = f'<rect class="box {kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="9"/>'
    return "\n".join([frame, *texts])


def arrow(path: str, label: str = "", at: tuple[int, int] = (0, 0), kind: str = "") -> str:
    """A line with a head at its end, and a label at a point."""
    drawn = f'<path class="line {kind}" d="{path}" marker-end="url(#head)"/>'
    return f'{drawn}\n<text class="small" x="{at[0]}" y="{at[1]}">{escape(label)}</text>' if label else drawn


def picture() -> str:
    """The whole figure as SVG text."""
    parts = [
        box(24, 92, "Candidates", ("prototypes x elements,", "or your own crystals")),
        box(214, 92, "Unrelaxed DOS", ("one DFT single point", "(only if the scorer", "needs it)"), "dft"),
        box(404, 92, "Scorer", ("ESNet, a potential,", "a model of your own:", "E_f with uncertainty"), "model"),
        box(594, 92, "Policy", ("E_hull, uncertainty,", "cost and budget", "decide, with reasons")),
        box(784, 92, "Relaxation", ("DFT: VASP or GPAW", "E_f, E_hull"), "dft", width=152),
        box(784, 240, "Ranked table", ("stable or not,", "CPU-s of each"), "found", width=152),
        box(594, 252, "Rejected", ("not relaxed",)),
        arrow("M184 132 H210"),
        arrow("M374 132 H400"),
        arrow("M564 132 H590"),
        arrow("M754 132 H780", "promoted", (768, 84)),
        arrow("M860 172 V236"),
        arrow("M674 190 V248"),
        arrow("M754 283 C 774 283 762 186 780 158", "audit", (742, 236), "audit"),
        arrow("M860 92 V52 H484 V88", "results retrain or recalibrate the scorer", (672, 44), "learn"),
        '<rect class="box" x="24" y="240" width="540" height="80" rx="9"/>',
        '<text class="title" x="294" y="270">One MongoDB database, FireWorks workflows</text>',
        '<text class="small" x="294" y="294">every decision with its reason, every attempt with its CPU-seconds</text>',
    ]
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>Candidates are scored before they are relaxed; a policy promotes some of them to a DFT
relaxation; the results go into a ranked table and back into the scorer</title>
<style>{STYLE}</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path class="head" d="M0 0 L10 5 L0 10 z"/></marker></defs>
<rect class="card" x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="12"/>
{body}
</svg>
"""


if __name__ == "__main__":
    Path(__file__).with_name("loop.svg").write_text(picture(), encoding="utf-8")
