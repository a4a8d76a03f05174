"""Base class of the soft tree classifier and regressor."""

from __future__ import annotations

import functools
import os
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from soft_students.sklearn_private import Interval, StrOptions, check_sample_weight
from soft_students.students.explained import ExplainedSoftTree
from soft_students.students.missing import validate_rows
from soft_students.students.soft_tree.prediction import RoutedTree
from soft_students.students.soft_tree.presets import image_settings
from soft_students.students.soft_tree.settings import TrainingSettings
from soft_students.students.supervision import Ask
from soft_students.students.tuning import check_chosen
from soft_students.transfer import Transfer

if TYPE_CHECKING:
    import torch

    from soft_students.labelled.parts import LabelledParts
    from soft_students.labelled.windows import LabelledRows, ShuffledParts
    from soft_students.persistence.checkpoints import Checkpoint
    from soft_students.students.soft_tree.kernel import LeafLoss
    from soft_students.students.soft_tree.parameters import TreeParameters
    from soft_students.students.soft_tree.training_rows import TrainingRows

CHECKPOINT_INTERVAL = 10.0  # minimum seconds between checkpoints


class BaseSoftDecisionTree(ExplainedSoftTree, RoutedTree):
    """A complete binary tree of linear gates, trained by gradient descent.

    Subclasses define the leaves, the targets and the outputs. Only methods that train import torch:
    prediction does not need it.
    """

    _image_settings = staticmethod(image_settings)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "depth": [Interval(Integral, 1, 16, closed="both")],
        "hard_weight": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "mixture_weight": [Interval(Real, 0, 1, closed="both")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "beta_schedule": [StrOptions({"fixed", "learned", "annealed"})],
        "beta_final": [Interval(Real, 0, None, closed="neither")],
        "sharpening": [Interval(Real, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "weight_averaging": [Interval(Real, 0, 1, closed="left")],
        "standardize": ["boolean"],
        "prediction": [StrOptions({"expectation", "greatest_path", "greedy"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "transfer": [Transfer, None],
        "transfer_copies": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "resume": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "device": [str],
        "n_devices": [Interval(Integral, 1, None, closed="left")],
        "n_nodes": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
    }

    # -- defined by subclasses --------------------------------------------------------------------

    @abstractmethod
    def _leaf_loss(self) -> LeafLoss: ...

    # -- training ---------------------------------------------------------------------------------

    def _fit(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        sample_weight: ArrayLike | None,
        ask: Ask | None,
        stratify: np.ndarray | None,
        unlabeled: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Train on validated rows and targets.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32 or float64
        targets : ndarray of shape (n, n_outputs)
        sample_weight : ndarray of shape (n,) or None
        ask : callable or None
            Returns the targets of new rows. None repeats the targets of their source rows.
        stratify : ndarray of shape (n,) or None
            Classes, for the validation split.
        unlabeled : (X, targets) or None
            Further rows of weight one, never held out for validation.
        """
        from soft_students.students.soft_tree.training_rows import gather_rows

        random_state = check_random_state(self.random_state)
        weights = check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("Every sample weight is zero: no rows are left to train on.")
        originals = np.flatnonzero(weights)
        if not weights.all():
            X, targets, weights = X[originals], targets[originals], weights[originals]
            stratify = None if stratify is None else stratify[originals]
        validation = None
        if self.early_stopping:
            X, targets, weights, originals, validation = self._split_validation(
                X, targets, weights, originals, stratify, random_state
            )
        if unlabeled is not None:
            X = np.concatenate([X, unlabeled[0].astype(X.dtype, copy=False)])
            targets = np.concatenate([targets, unlabeled[1]])
            weights = np.append(weights, np.ones(len(unlabeled[0]), dtype=X.dtype))
        resume = self.warm_start and hasattr(self, "gate_weights_")
        if not resume:
            self._scale_features(*self._moments(X, weights), X.dtype)
        parameters = self._start(X.shape[1], targets.shape[1], X.dtype, random_state, resume)
        rows = gather_rows(self, X, targets, weights, originals, ask, random_state)
        self._train(parameters, rows, validation, random_state)

    def _fit_parts(
        self,
        parts: LabelledParts,
        shuffled: ShuffledParts,
        targets_of: Callable[[LabelledRows], np.ndarray],
        random_state: np.random.RandomState,
    ) -> None:
        """Train on labelled parts.

        Parameters
        ----------
        parts : LabelledParts
        shuffled : ShuffledParts
            Result of `_open_parts`.
        targets_of : callable
            Maps rows to their targets, of shape (n, n_outputs). Must be picklable.
        random_state : RandomState
        """
        from soft_students.students.soft_tree.training_rows import StreamedRows

        dtype = np.dtype(np.float32)
        rows = StreamedRows(parts, shuffled, targets_of)
        resume = self.warm_start and hasattr(self, "gate_weights_")
        if not resume:
            self._scale_features(*rows.moments(), dtype)
        parameters = self._start(rows.n_features, rows.n_outputs, dtype, random_state, resume)
        rows.offset, rows.scale = self._offset, self._feature_scale
        validation = None
        if self.early_stopping:
            held_out = shuffled.held_out()
            if not len(held_out):
                raise ValueError(
                    f"early_stopping=True cannot hold out validation_fraction="
                    f"{self.validation_fraction} of {parts.n_rows} samples. Give more samples, or "
                    "set early_stopping=False."
                )
            validation = held_out.X, targets_of(held_out), np.ones(len(held_out), dtype=dtype)
        self._train(parameters, rows, validation, random_state)

    def _open_parts(
        self, parts: LabelledParts, task: str, random_state: np.random.RandomState, **given: Any
    ) -> ShuffledParts:
        """Check parts and the other arguments of fit; return a shuffling reader of the rows."""
        from soft_students.labelled.windows import ShuffledParts
        from soft_students.students.part_supervision import check_only_parts, check_parts

        check_parts(self, parts, task)
        check_only_parts(self, **given)
        if self.transfer is not None:
            raise ValueError(
                f"transfer={self.transfer!r} makes rows that a teacher must label, but labelled "
                "parts come without one. Set transfer=None, or label such rows as well."
            )
        chosen = [name for name in ("temperature", "hard_weight") if name in self.get_params()]
        check_chosen(self, *chosen, where="fit on labelled parts")
        self.n_features_in_ = parts.n_features
        self.__dict__.pop("feature_names_in_", None)
        if parts.columns is not None:
            self.feature_names_in_ = np.asarray(parts.columns, dtype=object)
        return ShuffledParts(
            parts,
            held_out_fraction=self.validation_fraction if self.early_stopping else 0.0,
            seed=int(random_state.randint(np.iinfo(np.int32).max)),
            labels=self.hard_weight > 0,
        )

    def _train(
        self,
        parameters: TreeParameters,
        rows: TrainingRows,
        validation: tuple[np.ndarray, ...] | None,
        random_state: np.random.RandomState,
    ) -> None:
        from soft_students.students.processes import is_first_process
        from soft_students.students.soft_tree.launching import TreeTraining

        training = TreeTraining(
            title=type(self).__name__,
            parameters=parameters,
            leaf_loss=self._leaf_loss(),
            settings=TrainingSettings.of(self),
            rows=rows,
            random_state=random_state,
            validation_loss=None if validation is None else self._validation_loss(*validation),
            checkpoint=self._open_checkpoint(parameters, rows, validation, random_state),
            n_threads=self.n_jobs,
            verbose=bool(self.verbose),
        )
        parameters, history = training.run(self.n_devices, self.n_nodes)
        if training.checkpoint is not None and is_first_process():
            training.checkpoint.remove()
        self._store(parameters)
        self.loss_curve_ = history.loss
        self.validation_curve_ = history.validation_loss
        self.n_iter_ = len(history.loss)
        self.best_iter_ = history.best_epoch
        self.__dict__.pop("_trainer", None)

    def _unlabeled(self, X: Any) -> tuple[np.ndarray, Any]:
        """Return further rows, checked, and in the form passed to the teacher."""
        rows = validate_rows(self, X, reset=False, dtype=[np.float64, np.float32])
        return rows, X if hasattr(X, "columns") else rows

    def _partial_fit(
        self, X: np.ndarray, targets: np.ndarray, sample_weight: ArrayLike | None
    ) -> None:
        """Take one pass over the rows at a constant learning rate.

        The state of the optimiser is kept between calls, but not in pickles.
        """
        import torch

        from soft_students.students.soft_tree.trainer import Trainer
        from soft_students.students.soft_tree.training_rows import RowsInMemory
        from soft_students.threads import torch_threads

        weights = check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weights.any():
            return
        random_state = check_random_state(self.random_state)
        with torch_threads(self.n_jobs):
            trainer = self.__dict__.get("_trainer")
            if trainer is None:
                resume = hasattr(self, "gate_weights_")
                if not resume:
                    self._scale_features(*self._moments(X, weights), X.dtype)
                start = self._start(X.shape[1], targets.shape[1], X.dtype, random_state, resume)
                trainer = Trainer(
                    start.to(self.device), self._leaf_loss(), TrainingSettings.of(self)
                )
            rows = RowsInMemory(
                torch.from_numpy(self._shifted(X)),
                torch.from_numpy(targets.astype(X.dtype, copy=False)),
                torch.from_numpy(weights / weights.mean()),
            )
            for batch in rows.batches(self.batch_size, random_state, self.device):
                trainer.step(*batch)
        self._store(trainer.result())
        self.n_iter_ = getattr(self, "n_iter_", 0) + 1
        self._trainer = trainer

    def _start(
        self,
        n_features: int,
        n_outputs: int,
        dtype: np.dtype[Any],
        random_state: np.random.RandomState,
        resume: bool,
    ) -> TreeParameters:
        """Return the initial parameters: random, or those of the fitted tree."""
        import torch

        from soft_students.students.soft_tree.parameters import TreeParameters

        n_inner = 2**self.depth - 1
        if resume:
            self._check_can_resume(n_features, n_outputs, dtype)
            gate_weights, gate_biases = self.gate_weights_ * self._feature_scale, self.gate_biases_
            betas, leaves = self.gate_betas_, self._trained_leaves()
        else:
            # Gates start near one half on centred rows, so that every sample reaches every leaf.
            gate_weights = random_state.normal(scale=n_features**-0.5, size=(n_inner, n_features))
            gate_biases = np.zeros(n_inner)
            if self._offset is None:
                gate_biases = -gate_weights @ self._center
            betas = np.full(n_inner, float(self.beta))
            leaves = random_state.normal(scale=0.1, size=(n_inner + 1, n_outputs))

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(np.asarray(values, dtype=dtype))

        plain = self.beta_schedule == "fixed" and bool((betas == 1).all())
        return TreeParameters(
            gate_weights=tensor(gate_weights),
            gate_biases=tensor(gate_biases),
            log_betas=None if plain else tensor(np.log(betas)),
            leaves=tensor(leaves),
        )

    def _moments(self, X: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of each feature; the latter is zero without `standardize`."""
        mean = np.average(X, axis=0, weights=weights)
        if not self.standardize:
            return mean, np.zeros_like(mean)
        return mean, np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weights))

    def _scale_features(
        self, mean: np.ndarray, deviation: np.ndarray, dtype: np.dtype[Any]
    ) -> None:
        """Set the unit in which gates are trained; a fitted tree takes raw rows."""
        self._center = mean
        self._offset: np.ndarray | None = None
        self._feature_scale = np.ones(len(mean), dtype=dtype)
        if self.standardize:
            # A feature that is constant up to rounding is not rescaled.
            floor = 10 * np.finfo(dtype).eps * np.abs(mean)
            self._offset = mean.astype(dtype)
            self._feature_scale = np.where(deviation > floor, deviation, 1).astype(dtype)

    def _shifted(self, X: np.ndarray) -> np.ndarray:
        return X if self._offset is None else (X - self._offset) / self._feature_scale

    def _split_validation(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        originals: np.ndarray,
        stratify: np.ndarray | None,
        random_state: np.random.RandomState,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        if stratify is not None and np.unique(stratify, return_counts=True)[1].min() < 2:
            stratify = None
        try:
            X, X_val, targets, targets_val, weights, weights_val, originals, _ = train_test_split(
                X,
                targets,
                weights,
                originals,
                test_size=self.validation_fraction,
                random_state=random_state,
                stratify=stratify,
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True cannot hold out validation_fraction="
                f"{self.validation_fraction} of {len(X)} samples: {error} Give more samples, or "
                "set early_stopping=False."
            ) from error
        return X, targets, weights, originals, (X_val, targets_val, weights_val)

    def _open_checkpoint(
        self,
        parameters: TreeParameters,
        rows: TrainingRows,
        validation: tuple[np.ndarray, ...] | None,
        random_state: np.random.RandomState,
    ) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        from soft_students.persistence.checkpoints import Checkpoint
        from soft_students.students.soft_tree.trainer import fingerprint

        described = (type(self).__name__, TrainingSettings.of(self).shaping())
        return Checkpoint(
            self.checkpoint,
            fingerprint(described, parameters, rows, validation or (), random_state),
            resume=self.resume,
            interval=CHECKPOINT_INTERVAL,
        )

    def _validation_loss(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> Callable[[TreeParameters], float]:
        """Return the loss of the tree's mean prediction on held-out rows."""
        import torch

        from soft_students.students.soft_tree.launching import held_out_loss

        return functools.partial(
            held_out_loss,
            self._shifted(X),
            type(self._leaf_loss())(mixture_weight=1.0),
            torch.from_numpy(np.ascontiguousarray(targets.T, dtype=X.dtype)),
            torch.from_numpy(weights / weights.sum()),
        )

    def _check_can_resume(self, n_features: int, n_outputs: int, dtype: np.dtype[Any]) -> None:
        if len(self.gate_biases_) != 2**self.depth - 1:
            raise ValueError(
                f"warm_start cannot continue a tree of {len(self.gate_biases_)} gates with "
                f"depth={self.depth}. Restore depth, or set warm_start=False."
            )
        if n_outputs != self._leaf_values().shape[1]:
            raise ValueError(
                f"warm_start cannot continue a tree of {self._leaf_values().shape[1]} outputs on "
                f"targets with {n_outputs}. Set warm_start=False."
            )
        # A bundle or pickle stores gates in the unit of the rows: continue in that unit.
        if not hasattr(self, "_offset"):
            self._offset = self.feature_offset_
            self._feature_scale = np.ones(n_features, dtype=dtype)

    @abstractmethod
    def _trained_leaves(self) -> np.ndarray:
        """Return the fitted leaves in the unit of training."""

    @abstractmethod
    def _store_leaves(self, leaves: np.ndarray) -> None:
        """Store trained leaves as fitted attributes."""

    def _store(self, parameters: TreeParameters) -> None:
        def array(tensor: torch.Tensor) -> np.ndarray:
            return np.ascontiguousarray(tensor.cpu().numpy())

        self.gate_weights_ = array(parameters.gate_weights) / self._feature_scale
        self.gate_biases_ = array(parameters.gate_biases)
        self.gate_betas_ = (
            np.ones_like(self.gate_biases_)
            if parameters.log_betas is None
            else np.exp(array(parameters.log_betas))
        )
        self.feature_offset_ = self._offset
        self._store_leaves(array(parameters.leaves))

    # -- pickling and bundles ---------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_trainer", "_offset", "_feature_scale", "_center"):
            state.pop(name, None)
        return state
