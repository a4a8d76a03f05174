import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from sklearn.exceptions import NotFittedError

from soft_students import SoftDecisionTreeClassifier
from soft_students.explain import plot_tree
from soft_students.transfer import ImageDistortion


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def bars(figure, label):
    """Extents of labelled bars, as (width, height) of each."""
    (found,) = (
        made
        for made in figure.axes[0].collections
        if isinstance(made, PolyCollection) and made.get_label() == label
    )
    corners = np.array([path.vertices[:4] for path in found.get_paths()])
    return np.ptp(corners, axis=1)


def branch_widths(figure):
    curves = [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]
    return [curve.get_linewidth() for curve in curves if len(curve.get_path().vertices) == 4]


def test_image_trees_show_a_filter_a_gate(deep):
    figure = plot_tree(deep, image_shape=(3, 2))
    (axes,) = figure.axes
    key, *filters = axes.images
    assert len(filters) == 15
    limit = np.quantile(np.abs(deep.gate_weights_), 0.995)
    for gate, image in enumerate(filters):
        np.testing.assert_array_equal(image.get_array(), deep.gate_weights_[gate].reshape(3, 2))
        assert image.get_clim() == pytest.approx((-limit, limit))
        assert image.cmap.name == "PuOr"
    assert key.get_clim() == filters[0].get_clim()
    assert f"≥ {limit:.2g}" in texts(figure)
    assert {f"node {node}" for node in range(31)} <= set(texts(figure))


def test_filters_are_multiplied_by_beta(classifier):
    figure = plot_tree(classifier, image_shape=(1, 2))
    np.testing.assert_array_equal(figure.axes[0].images[1].get_array(), [[2.0, 0.0]])


def test_channels_lie_side_by_side(deep):
    figure = plot_tree(deep, image_shape=(2, 3, 1))
    image = figure.axes[0].images[1].get_array()
    np.testing.assert_array_equal(image, deep.gate_weights_[0].reshape(2, 3).T)


def test_the_transfer_set_knows_the_image_shape(deep):
    deep.transfer = ImageDistortion((2, 3))
    assert plot_tree(deep).axes[0].images[1].get_array().shape == (2, 3)
    assert not plot_tree(deep, feature_names=list("abcdef")).axes[0].images


def test_leaves_show_their_distribution_at_temperature_one(classifier):
    figure = plot_tree(classifier)
    squares = np.array([[4, 1, 1], [1, 9, 1], [1, 1, 64], [1, 4, 1]])
    expected = squares / squares.sum(axis=1, keepdims=True)
    for leaf in range(4):
        heights = bars(figure, f"leaf {leaf + 3}")[:, 1]
        np.testing.assert_allclose(heights / heights.sum(), expected[leaf], rtol=1e-6)
    large = [text.get_text() for text in figure.axes[0].texts if text.get_fontsize() > 12]
    assert large == ["ant", "bee", "cat", "bee"]


def test_gates_tell_the_classes_below_them(classifier):
    shown = texts(plot_tree(classifier))
    assert {"ant, bee, cat", "ant, bee", "bee, cat"} <= set(shown)


def test_leaves_that_no_row_reaches_are_not_announced(classifier):
    # x = (2, 3) goes right at node 0 with σ(2) and then left with σ(3): 4 % arrive at leaf 6.
    classifier.gate_biases_[2] = -50
    shown = texts(plot_tree(classifier, X=[[2.0, 3.0]]))
    assert "ant, bee" not in shown  # node 1: leaf 4 alone
    assert shown.count("cat") == 2  # above node 2, and leaf 5


def test_branches_are_as_wide_as_their_share_of_the_rows(classifier):
    X = np.array([[2.0, 3.0], [0.0, -1.0], [1.0, 0.5]])
    widths = branch_widths(plot_tree(classifier, X=X))
    reach = classifier.path_probabilities(X).mean(axis=0)[1:]
    assert len(widths) == 6
    np.testing.assert_allclose(np.array(widths) / sum(widths[:2]), reach, rtol=1e-6)
    assert len(set(branch_widths(plot_tree(classifier)))) == 1
    assert f"1 · {100 * reach[0]:.0f}%" in texts(plot_tree(classifier, X=X))


def test_what_lies_deeper_is_averaged_by_path_probability(classifier):
    X = np.array([[2.0, 3.0], [0.0, -1.0]])
    alone = classifier.leaf_probabilities_
    reach = classifier.path_probabilities(X).mean(axis=0)
    for rows, weights in ((None, [1, 1, 1, 1]), (X, reach[3:])):
        figure = plot_tree(classifier, X=rows, max_depth=1)
        for node, leaves in ((1, [0, 1]), (2, [2, 3])):
            expected = np.average(alone[leaves], axis=0, weights=np.array(weights)[leaves])
            heights = bars(figure, f"leaf {node}")[:, 1]
            np.testing.assert_allclose(heights / heights.sum(), expected, rtol=1e-6)
        assert texts(figure).count("⋯ 2 leaves") == 2


def test_a_subtree_is_drawn_from_its_root(deep):
    figure = plot_tree(deep, image_shape=(3, 2), root=4, max_depth=2)
    assert {f"node {node}" for node in (4, 9, 10, 19, 20, 21, 22)} == {
        text for text in texts(figure) if text.startswith("node")
    }
    shown = [image.get_array() for image in figure.axes[0].images[1:]]
    np.testing.assert_array_equal(shown, deep.gate_weights_[[4, 9, 10]].reshape(3, 3, 2))
    lowest = plot_tree(deep, root=14, max_depth=4)
    assert "node 29" in texts(lowest)


def test_tables_show_their_weightiest_features_in_comparable_units(classifier):
    X = np.array([[0.0, 0.0], [2.0, 200.0]])  # deviations 1 and 100
    raw = plot_tree(classifier, feature_names=["legs", "wings"], max_depth=1, top=1, root=2)
    scaled = plot_tree(classifier, X=X, feature_names=["legs", "wings"], max_depth=1, top=1, root=2)
    # The gate's weights are 1 and -1: a tie, and then 1 to -100.
    assert "legs" in texts(raw)
    assert "wings" not in texts(raw)
    assert "wings" in texts(scaled)
    assert "longest bar: 1e+02" in texts(scaled)
    assert "gate weight × deviation" in texts(scaled)


def test_bars_are_to_one_scale(classifier):
    figure = plot_tree(classifier, feature_names=["legs", "wings"])
    lengths = [
        np.ptp([path.vertices[:4, 0] for path in made.get_paths()], axis=1)
        for made in figure.axes[0].collections
        if made.get_label() == "weights"
    ]
    # Sorted by size in each gate: (2, 0), (1, 0), (1, -1).
    unit = lengths[0][0] / 2
    np.testing.assert_allclose(lengths, unit * np.array([[2, 0], [1, 0], [1, 1]]), atol=1e-12)


def test_values_of_a_regressor_are_written(regressor):
    shown = texts(plot_tree(regressor))
    assert {"-1", "0", "2", "4", "-1 … 4", "-1 … 0", "2 … 4"} <= set(shown)


def test_odd_names_are_shown_as_they_are(classifier):
    classifier.classes_ = np.array(["$x^2$", "<b>b</b>", r"$\frac{$"])
    figure = plot_tree(classifier, feature_names=["$a", "b$_"])
    FigureCanvasAgg(figure).draw()  # fails on a formula that does not parse
    assert {"$x^2$", "<b>b</b>", r"$\frac{$", "$a", "b$_"} <= set(texts(figure))
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


@pytest.mark.parametrize("length", [1, 8, 60])
def test_texts_stay_inside_and_do_not_overlap(deep, length):
    deep.classes_ = np.array([f"{k}" * length for k in range(10)])
    X = np.random.default_rng(1).normal(size=(50, 6))
    figure = plot_tree(deep, X=X, image_shape=(3, 2))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts]
    width, height = canvas.get_width_height()
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y0 >= 0
        assert box.y1 <= height
    for (i, a), (j, b) in itertools.combinations(enumerate(boxes), 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        shown = figure.axes[0].texts[i].get_text(), figure.axes[0].texts[j].get_text()
        assert min(overlap) < 1.5, shown  # boxes hold some air around the letters


def test_it_draws_into_axes_that_exist(classifier):
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    assert plot_tree(classifier, ax=right) is figure
    assert right.texts
    assert not left.texts
    alone = plot_tree(classifier).axes[0].texts[0]
    assert right.texts[0].get_fontsize() < alone.get_fontsize()
    outer = Figure(figsize=(10, 4))
    inner = outer.subfigures(1, 2)[0].add_subplot()
    assert plot_tree(classifier, ax=inner) is outer


def test_gates_without_weights_are_drawn(classifier):
    classifier.gate_weights_[:] = 0
    FigureCanvasAgg(plot_tree(classifier, image_shape=(2, 1))).draw()
    FigureCanvasAgg(plot_tree(classifier)).draw()


def test_the_method_is_the_function(classifier):
    assert texts(classifier.plot_tree(max_depth=1)) == texts(plot_tree(classifier, max_depth=1))


def test_an_unfitted_tree_is_refused():
    with pytest.raises(NotFittedError):
        plot_tree(SoftDecisionTreeClassifier())


@pytest.mark.parametrize("shape", [(2, 2), (2,), (1, 1, 1, 2), (-1, -2), (1.0, 2.0)])
def test_an_image_shape_that_does_not_fit_is_refused(classifier, shape):
    with pytest.raises(ValueError, match=r"'image_shape'.*2 features of SoftDecisionTreeC"):
        plot_tree(classifier, image_shape=shape)


@pytest.mark.parametrize(
    ("parameter", "interval"),
    [
        ({"root": 3}, r"\[0, 2\]"),
        ({"root": -1}, r"\[0, 2\]"),
        ({"max_depth": 0}, r"\[1, 8\]"),
        ({"max_depth": 9}, r"\[1, 8\]"),
        ({"max_depth": 2.0}, r"\[1, 8\]"),
        ({"max_depth": True}, r"\[1, 8\]"),
        ({"top": 0}, r"\[1, inf\)"),
    ],
)
def test_parameters_out_of_range_are_refused(classifier, parameter, interval):
    (name,) = parameter
    with pytest.raises(ValueError, match=f"'{name}' parameter of plot_tree .* range {interval}"):
        plot_tree(classifier, **parameter)


def test_rows_of_another_size_are_refused(classifier):
    with pytest.raises(ValueError, match="3 features"):
        plot_tree(classifier, X=np.ones((4, 3)))
