"""The greatest depth of a boosted tree in a file."""

#: XGBoost and LightGBM recurse when they explain a row, and their trees as JSON are nested: a chain
#: of 10,000 splits takes gigabytes or ends the process.
MAX_DEPTH = 450


def check_depth(depth: int, where: str) -> None:
    """Refuse a tree that is too deep.

    Parameters
    ----------
    depth : int
        Splits from the root to a leaf, at most or so far.
    where : str
        Name of the tree, to begin the message with.

    Raises
    ------
    ValueError
        If the depth is above `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"{where} is more than {MAX_DEPTH} splits deep")
