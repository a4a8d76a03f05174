"""Colours of all pictures: orange and purple differ for every common colour blindness."""

DIVERGING = "PuOr"  # matplotlib's name; orange below zero, purple above
LEFT, RIGHT = "#d9770b", "#7564a8"
INK, GREY, LIGHT, PALE, FAINT = "#1a1a1a", "#666666", "#9a9a9a", "#c4c4c4", "#f4f4f4"


def side_color(value: float) -> str:
    """Return the colour of the side towards which a value pushes."""
    return RIGHT if value > 0 else LEFT


def css_variables() -> str:
    """Return the colours as a CSS rule with variables: ``--left`` for `LEFT`, and so on."""
    colors = {
        "left": LEFT, "right": RIGHT, "ink": INK, "grey": GREY, "light": LIGHT, "pale": PALE,
        "faint": FAINT,
    }  # fmt: skip
    return ":root{" + "".join(f"--{name}:{color};" for name, color in colors.items()) + "}"
