"""Write the table of methods in methods.md from the catalogue: `python docs/methods_table.py`."""

from pathlib import Path

from soft_students.methods import available

PAGE = Path(__file__).with_name("methods.md")
BEGIN, END = "<!-- methods: begin -->\n", "<!-- methods: end -->\n"


def table() -> str:
    """Return one row a method, in the order of the catalogue."""
    rows = ["| key | method | paper | needs |", "|---|---|---|---|"]
    for key, method in available().items():
        paper = f"{method.paper.authors} {method.paper.year}, {_link(method.paper.link)}"
        needs = ", ".join(sorted(method.needs - {"data"})) or "rows"
        if "data" not in method.needs:
            needs += ", no rows"
        rows.append(f"| `{key}` | {method.title} | {paper} | {needs} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """Return the page with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table() + END + after


def _link(link: str) -> str:
    kind, _, number = link.partition(":")
    site = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}.get(kind)
    return link if site is None else f"[{link}]({site}{number})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
