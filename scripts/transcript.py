"""Record `make demo ENGINE=docker` on this machine as docs/transcript.svg, the first picture of the README.

It needs a container engine. On Debian, `.ci/engine.sh up DIR` starts one; then run `source DIR/environment`. Run
`docker builder prune --all` first, so that the image is built and not taken from the cache.
"""

import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

TEMPLATE = Path(__file__).resolve().parents[1]
PICTURE = TEMPLATE / "docs/transcript.svg"
COLUMNS = 106
COMMAND = "make demo ENGINE=docker"
# The picture leaves out this note: where AWS's base image cannot be pulled, it is emulated, as the README explains.
HIDDEN_LINE_START = "      The base image may be outdated: "
FIRST_LINE = "$ cd my-api"  # the lines before it are not part of a deploy
VARYING = re.compile(  # text that differs between two runs
    r"sha256:[0-9a-f]+|(?<=127\.0\.0\.1:)\d+|[\d.]+(?=s\b)|[\d,]+(?= ms)|\d+(?= of 512 MB)|(?<=Python )[\d.]+ on \w+"
)
STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
text.title { font: 12px system-ui, sans-serif; fill: #59636e }
.page { fill: #f6f8fa; stroke: #d1d9e0 }
.command { font-weight: 600; fill: #0550ae } .json { fill: #116329 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } text.title { fill: #9198a1 }
  .page { fill: #151b23; stroke: #3d444d }
  .command { fill: #79c0ff } .json { fill: #7ee787 }
}
"""


def main() -> None:
    """Run the demo and write the picture."""
    demo = [sys.executable, "-m", "scripts.demo", "--engine", "docker"]
    result = subprocess.run(demo, cwd=TEMPLATE, stdout=subprocess.PIPE, encoding="utf-8")
    if result.returncode:
        sys.exit(f"{COMMAND} failed, so {PICTURE.relative_to(TEMPLATE)} was not changed.\n{result.stdout}")
    PICTURE.write_text(draw(visible_lines(result.stdout), time.strftime("%Y-%m-%d")), "utf-8")
    print(f"Wrote {PICTURE.relative_to(TEMPLATE)}. View it in a browser in light and in dark mode.")


def visible_lines(output: str) -> list[str]:
    """Return the lines of the demo's output that the picture shows. Long lines are shortened."""
    _, first, rest = output.partition(FIRST_LINE)
    lines = [line for line in (first + rest).strip().splitlines() if not line.startswith(HIDDEN_LINE_START)]
    return [line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…" for line in lines]


def draw(lines: list[str], date: str) -> str:
    """Return the lines as an SVG picture for light and dark pages."""
    width, height, row = 800, 58 + 17 * len(lines), 17
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    texts = [
        f'<text{class_attribute(line)} x="16" y="{58 + number * row}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<title>The output of {COMMAND}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            f'<text class="title" x="16" y="27">{COMMAND}, {date}</text>',
            *texts,
            "</svg>\n",
        ]
    )


def class_attribute(line: str) -> str:
    """Return the class attribute for a line that is a command or a JSON response, and an empty text for others."""
    for name, start in (("command", "$ "), ("json", "{")):
        if line.lstrip().startswith(start):
            return f' class="{name}"'
    return ""


def read_lines(file: Path) -> list[str]:
    """Return the lines that a picture shows, without the empty ones."""
    texts = ElementTree.parse(file).getroot().iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 - a file of this repository
    return [text.text or "" for text in texts if text.get("class") != "title"]


def mask_varying_parts(lines: list[str]) -> list[str]:
    """Return the lines without empty ones, and with # for each text that differs between two runs."""
    return [VARYING.sub("#", line) for line in lines if line]


if __name__ == "__main__":
    main()
