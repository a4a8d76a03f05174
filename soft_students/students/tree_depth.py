"""Limit on the depth of boosted trees in files."""

#: XGBoost and LightGBM recurse when they explain a row, and their trees are nested JSON: a chain of
#: 10,000 splits takes gigabytes or crashes the process.
MAX_DEPTH = 450


def check_depth(depth: int, where: str) -> None:
    """Raise ValueError if a tree is too deep.

    Parameters
    ----------
    depth : int
        Number of splits from the root to a leaf, in total or so far.
    where : str
        Name of the tree, at the beginning of the message.

    Raises
    ------
    ValueError
        If the depth is above `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"{where} is more than {MAX_DEPTH} splits deep")
