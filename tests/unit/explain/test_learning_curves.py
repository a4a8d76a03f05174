import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from soft_students import SoftDecisionTreeClassifier
from soft_students.explain import plot_learning_curves


def curves(figure):
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}


def test_the_training_loss_alone(classifier):
    classifier.loss_curve_, classifier.validation_curve_ = [3.0, 2.0, 1.5], []
    classifier.best_iter_ = None
    figure = plot_learning_curves(classifier)
    ((_, points),) = curves(figure).items()
    np.testing.assert_array_equal(points, [[1, 3.0], [2, 2.0], [3, 1.5]])
    assert figure.axes[0].get_ylabel() == "training loss, with penalty"


def test_early_stopping_adds_the_validation_loss_and_the_epoch_kept(classifier):
    classifier.loss_curve_, classifier.validation_curve_ = [3.0, 2.0, 1.5], [4.0, 2.5, 2.6]
    classifier.best_iter_ = 1
    drawn = curves(plot_learning_curves(classifier))
    np.testing.assert_array_equal(drawn["validation"][:, 1], [4.0, 2.5, 2.6])
    np.testing.assert_array_equal(drawn["kept: epoch 2"], [[2, 2.5]])


def test_a_fitted_student_can_be_drawn():
    X = np.random.default_rng(0).normal(size=(60, 2))
    tree = SoftDecisionTreeClassifier(1, epochs=3, early_stopping=True, random_state=0)
    tree.fit(X, X[:, 0] > 0)
    assert len(curves(plot_learning_curves(tree))["validation"]) == tree.n_iter_


def test_a_student_without_a_curve_is_refused(classifier):
    with pytest.raises(ValueError, match="has no loss curve"):
        plot_learning_curves(classifier)
    with pytest.raises(NotFittedError):
        plot_learning_curves(SoftDecisionTreeClassifier())
