"""Docstrings of methods as text for a terminal."""

import re

import pytest

from soft_students.methods import entries
from softkd.plain_text import formula, plain_text

#: What no reader of a terminal should see.
MARKUP = re.compile(r"[`\\]|:\w+:|\]_|^ *(\.\.|---|===)", re.MULTILINE)


@pytest.mark.parametrize("key", entries())
def test_a_method_is_described_in_plain_text(done, key):
    text = done("methods", key).stdout
    assert text.startswith(f"{key}: {entries()[key].title}\n")
    assert not MARKUP.search(text), text
    described = text.partition("Defaults: ")[2].splitlines()[1:]
    assert max(map(len, described)) <= 88
    assert "\nParameters:\n" in text
    assert "\nReferences:\n" in text


def test_kd_reads_like_this(done):
    text = done("methods", "kd").stdout
    assert "KL(softmax(z_t / T) ‖ softmax(z_s / T))" in text
    assert "T² " in text


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"a\,CE(z, y) + \beta\,T^2 KL", "a CE(z, y) + β T² KL"),
        (r"\frac{1}{2} \|x - r(v)\|^2", "½ ‖x - r(v)‖²"),
        (r"\frac{w}{K - 1} \sum_{l \ne k} KL(p_l \| p_k)", "w/(K - 1) Σ_(l ≠ k) KL(p_l ‖ p_k)"),
        (r"\sqrt{D / 2048}", "√(D / 2048)"),
        (r"2^{l - L} W_{i-1} L_{AB}", "2^(l - L) W_(i-1) L_AB"),
        (r"\sigma_{l,c}^2 + \log \sigma^{\gamma_i}", "σ_(l,c)² + log σ^(γ_i)"),
        (r"\hat F_t + \bar{p}_c", "F̂_t + p̄_c"),
        (r"\arg\max z - \overline{|f_t|}", "argmax z - mean(|f_t|)"),
        (r"{a {b} c}", "a b c"),
    ],
)
def test_formulas(latex, plain):
    assert formula(latex) == plain


def test_a_docstring_keeps_its_parts_and_loses_its_markup():
    docstring = """First line of
    a paragraph: :math:`x_
    i^2`, see :func:`~package.function` and `other` [1]_.

    - a point with ``code`` that
      goes on
    - another

    Parameters
    ----------
    first, second : int, default=3
        Number of ``rows``,
        in thousands.
    third : str
        A name.

    References
    ----------
    .. [1] Someone (2020), "Title",
       venue.
    """
    assert plain_text(docstring).splitlines() == [
        "First line of a paragraph: x_i², see package.function and other [1].",
        "",
        "- a point with code that goes on",
        "- another",
        "",
        "Parameters:",
        "  first, second: int, default 3",
        "      Number of rows, in thousands.",
        "  third: str",
        "      A name.",
        "",
        "References:",
        '  [1] Someone (2020), "Title", venue.',
    ]
