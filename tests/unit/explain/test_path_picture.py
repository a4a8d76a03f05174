import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from soft_students import SoftDecisionTreeClassifier
from soft_students.explain import explain_path, plot_path


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def widths(figure, label):
    return [
        np.ptp([path.vertices[:4, 0] for path in made.get_paths()], axis=1)
        for made in figure.axes[0].collections
        if made.get_label() == label
    ]


def test_an_image_shows_the_row_the_filters_and_their_products(deep):
    x = np.array([0.1, 0.9, 0.2, 0.0, 1.0, 0.4])
    figure = plot_path(deep, x, image_shape=(3, 2))
    path = explain_path(deep, x)
    row, *pairs = (image.get_array() for image in figure.axes[0].images)
    np.testing.assert_array_equal(row, x.reshape(3, 2))
    assert len(pairs) == 2 * 4
    for place, gate in enumerate(path.nodes[:-1]):
        weights = deep.gate_weights_[gate].reshape(3, 2)
        np.testing.assert_array_equal(pairs[2 * place], weights)
        np.testing.assert_allclose(pairs[2 * place + 1], weights * x.reshape(3, 2), rtol=1e-12)


def test_numbers_stand_under_each_gate(classifier):
    figure = plot_path(classifier, [2.0, 3.0])
    shown = texts(figure)
    # activations 2 and -3; σ(2) = 0.881, σ(3) = 0.953; their product 0.839
    for text in ("node 0", "node 2", "+2.00", "−3.00", "right 0.881", "left 0.953", "0.839"):
        assert text in shown
    assert {"leaf 5", "all leaves", "predicts cat", "0.97"} <= set(shown)
    assert "weight × (value − mean)" in shown
    (left, right), (also_left, also_right) = widths(figure, "branch")
    assert right / (left + right) == pytest.approx(0.8808, abs=1e-4)
    assert also_left / (also_left + also_right) == pytest.approx(0.9526, abs=1e-4)


def test_features_show_their_value_and_their_push(classifier):
    figure = plot_path(classifier, [2.0, 3.0], feature_names=["legs", "wings"], top=1)
    assert {"legs = 2", "wings = 3"} <= set(texts(figure))
    first, second = widths(figure, "weights")
    assert (second / first).item() == pytest.approx(3 / 2)  # pushes +2 and -3


def test_distributions_stand_side_by_side(classifier):
    figure = plot_path(classifier, [2.0, 3.0])
    path = explain_path(classifier, [2.0, 3.0])
    (leaf,), (mean,) = widths(figure, "leaf 5"), widths(figure, "all leaves")
    np.testing.assert_allclose(leaf / leaf.sum(), path.leaf_output, rtol=1e-6)
    np.testing.assert_allclose(mean / leaf.sum(), path.mean_output, rtol=1e-6)


def test_of_many_classes_the_likeliest_are_shown():
    rng = np.random.default_rng(0)
    tree = SoftDecisionTreeClassifier(2, epochs=1, random_state=0)
    tree.fit(rng.normal(size=(200, 3)), np.arange(200) % 40)
    x = np.ones(3)
    figure = plot_path(tree, x)
    (leaf,) = widths(figure, f"leaf {tree.apply([x])[0]}")
    assert len(leaf) == 12
    assert str(tree.predict([x])[0]) in texts(figure)


def test_a_regressor_shows_values(regressor):
    shown = texts(plot_path(regressor, [2.0, 3.0]))
    assert "value" in shown
    assert "2" in shown
    assert f"predicts {regressor.predict([[2.0, 3.0]])[0]:.4g}" in shown


def test_colour_images_are_shown_in_colour():
    rng = np.random.default_rng(0)
    tree = SoftDecisionTreeClassifier(1, epochs=1, random_state=0, standardize=False)
    X = rng.random((20, 12))
    tree.fit(X, np.arange(20) % 2)
    row, filtered, _ = (
        image.get_array() for image in plot_path(tree, X[0], image_shape=(3, 2, 2)).axes[0].images
    )
    np.testing.assert_array_equal(row, X[0].reshape(3, 2, 2).transpose(1, 2, 0))
    assert filtered.shape == (2, 6)


@pytest.mark.parametrize("x", [np.zeros(6), np.ones(6)])
def test_an_even_image_is_drawn(deep, x):
    FigureCanvasAgg(plot_path(deep, x, image_shape=(3, 2))).draw()
    FigureCanvasAgg(plot_path(deep, x, image_shape=(6, 1))).draw()


def test_odd_names_are_shown_as_they_are(classifier):
    classifier.classes_ = np.array(["$x$", "<b>", "$\\bad{$"])
    figure = plot_path(classifier, [2.0, 3.0], feature_names=["$a", "b$"])
    FigureCanvasAgg(figure).draw()
    assert {"$x$", "<b>", "$\\bad{$", "predicts $\\bad{$", "$a = 2"} <= set(texts(figure))


def test_texts_stay_inside(classifier):
    classifier.classes_ = np.array(["a" * 80, "b" * 80, "c" * 80])
    figure = plot_path(classifier, [2.0, 3.0], feature_names=["m" * 90, "n" * 90])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for text in figure.axes[0].texts:
        box = text.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0
        assert box.x1 <= canvas.get_width_height()[0]


def test_it_draws_into_axes_that_exist(classifier):
    ax = Figure().add_subplot()
    assert plot_path(classifier, [2.0, 3.0], ax=ax) is ax.figure


def test_the_method_is_the_function(classifier):
    said = texts(plot_path(classifier, [2.0, 3.0], top=1))
    assert texts(classifier.plot_path([2.0, 3.0], top=1)) == said


def test_bad_input_is_refused(classifier):
    with pytest.raises(NotFittedError):
        plot_path(SoftDecisionTreeClassifier(), [1.0])
    with pytest.raises(ValueError, match="one row of 2 features"):
        plot_path(classifier, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="'image_shape'"):
        plot_path(classifier, [1.0, 2.0], image_shape=(2, 2))
    with pytest.raises(ValueError, match="'top' parameter of plot_path"):
        plot_path(classifier, [1.0, 2.0], top=0)
