"""Formulas as MathML, which browsers draw by themselves: no script, no network."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

#: Words such as softmax or KL, which docstrings write plainly: not products of letters.
_WORD = re.compile(r"(?<![\\A-Za-z])([A-Za-z]{3,}|[A-Z]{2})(?![A-Za-z])")


def mathml(formula: str, *, as_block: bool = False) -> str:
    """Return a formula of LaTeX as MathML."""
    return tex2mathml(_WORD.sub(r"\\operatorname{\1}", formula), as_block=as_block)


def visit_math(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_math_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    translator.body.append(f'<div class="formula">{mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the renderer under the name mathml."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
