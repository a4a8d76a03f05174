"""What the soft tree classifier and regressor share."""

from __future__ import annotations

import functools
import itertools
import math
import os
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from soft_students.students.copies import taught_copies
from soft_students.students.declared import Declared
from soft_students.students.explained import ExplainedSoftTree
from soft_students.students.soft_tree import routing
from soft_students.students.soft_tree.presets import image_settings
from soft_students.students.supervision import Ask
from soft_students.students.tuning import check_chosen, read_hard_weight
from soft_students.transfer import Transfer

if TYPE_CHECKING:
    import torch

    from soft_students.labelled.parts import LabelledParts
    from soft_students.labelled.windows import LabelledRows, ShuffledParts
    from soft_students.persistence.checkpoints import Checkpoint
    from soft_students.students.soft_tree.kernel import LeafLoss, TreeParameters
    from soft_students.students.soft_tree.training import Rows, TrainingRows, TrainingSettings

_AUTO_STEPS = 1500  # epochs="auto" trains for at least this many steps,
_AUTO_EPOCHS = 40  # and at least this many epochs
CHECKPOINT_INTERVAL = 10.0  # seconds between checkpoints, at the least
# What a checkpoint must have in common with the training that goes on from it; the rows, their
# targets and the random state are compared as well.
_SHAPING = (
    *("depth", "mixture_weight", "penalty", "beta", "beta_schedule", "beta_final", "sharpening"),
    *("epochs", "batch_size", "learning_rate", "weight_decay", "weight_averaging"),
    *("early_stopping", "n_iter_no_change"),
)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class BaseSoftDecisionTree(ExplainedSoftTree, Declared, BaseEstimator):
    """A complete binary tree of linear gates, trained by gradient descent.

    Subclasses say what leaves hold, what the targets are and how outputs are read. Methods that
    train import torch, and what needs it, themselves: predicting does without.
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

    # -- what a subclass defines ------------------------------------------------------------------

    @abstractmethod
    def _leaf_loss(self) -> LeafLoss: ...

    @abstractmethod
    def _leaf_values(self) -> np.ndarray:
        """Return what each leaf predicts, of shape (n_leaves, n_outputs)."""

    # -- what checks and counts are told ----------------------------------------------------------

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"depth": 2, "epochs": 150, "learning_rate": 0.05}

    def _structure(self) -> dict[str, int]:
        gates, leaves = self.gate_weights_, self._leaf_values()
        return {
            "gates": len(gates),
            "leaves": len(leaves),
            "parameters": gates.size + len(gates) + leaves.size,
        }

    def _operations(self, X: Any) -> float:
        (n_gates, n_features), leaves = self.gate_weights_.shape, self._leaf_values()
        if self.prediction == "greedy":
            return float(np.log2(len(leaves)) * (2 * n_features + 1))
        paths = 2 * n_gates * n_features + 2 * n_gates
        read = 2 * leaves.size if self.prediction == "expectation" else len(leaves) - 1
        return float(paths + read)

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
            Gives the targets of new rows. None repeats the target of the row they were made from.
        stratify : ndarray of shape (n,) or None
            Classes, for the validation split.
        unlabeled : (X, targets) or None
            Further rows, of weight one, which take no part in the validation split.
        """
        random_state = check_random_state(self.random_state)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("Every sample weight is zero: there is nothing to learn from.")
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
        rows = self._training_rows(X, targets, weights, originals, ask, random_state)
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
            Of `_open_parts`.
        targets_of : callable
            Maps rows to what leaves learn, of shape (n, n_outputs). It can be pickled.
        random_state : RandomState
        """
        from soft_students.students.soft_tree.parts import PartRows

        dtype = np.dtype(np.float32)
        rows = PartRows(parts, shuffled, targets_of)
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
        """Check parts, and what was given beside them; return what reads their rows."""
        from soft_students.labelled.windows import ShuffledParts
        from soft_students.students.part_supervision import check_only_parts, check_parts

        check_parts(self, parts, task)
        check_only_parts(self, **given)
        if self.transfer is not None:
            raise ValueError(
                f"transfer={self.transfer!r} asks a teacher about rows that it makes, which "
                "labelled parts cannot answer. Set transfer=None, or label such rows as well."
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
        rows: Rows,
        validation: tuple[np.ndarray, ...] | None,
        random_state: np.random.RandomState,
    ) -> None:
        from soft_students.students.processes import is_first_process
        from soft_students.students.soft_tree.launching import TreeTraining

        training = TreeTraining(
            title=type(self).__name__,
            parameters=parameters,
            leaf_loss=self._leaf_loss(),
            settings=self._settings(),
            rows=rows,
            epochs=self._n_epochs(rows.n),
            random_state=random_state,
            validation_loss=None if validation is None else self._validation_loss(*validation),
            patience=self.n_iter_no_change,
            checkpoint=self._open_checkpoint(parameters, rows, validation, random_state),
            n_threads=self._n_threads(),
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
        """Return further rows, checked, and as the teacher is shown them."""
        rows = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return rows, X if hasattr(X, "columns") else rows

    def _partial_fit(
        self, X: np.ndarray, targets: np.ndarray, sample_weight: ArrayLike | None
    ) -> None:
        """Take one pass over the rows at a constant learning rate.

        The optimiser's state lasts from call to call, but not through pickling.
        """
        import torch

        from soft_students.students.soft_tree.training import Trainer, TrainingRows
        from soft_students.threads import torch_threads

        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weights.any():
            return
        random_state = check_random_state(self.random_state)
        with torch_threads(self._n_threads()):
            trainer = self.__dict__.get("_trainer")
            if trainer is None:
                resume = hasattr(self, "gate_weights_")
                if not resume:
                    self._scale_features(*self._moments(X, weights), X.dtype)
                start = self._start(X.shape[1], targets.shape[1], X.dtype, random_state, resume)
                trainer = Trainer(start.to(self.device), self._leaf_loss(), self._settings())
            rows = TrainingRows(
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
        """Return where training starts: at random, or at the fitted tree."""
        import torch

        from soft_students.students.soft_tree.kernel import TreeParameters

        n_inner = 2**self.depth - 1
        if resume:
            self._check_can_resume(n_features, n_outputs, dtype)
            gate_weights, gate_biases = self.gate_weights_ * self._feature_scale, self.gate_biases_
            betas, leaves = self.gate_betas_, self._trained_leaves()
        else:
            # Gates start near one half on centred rows: every leaf sees every sample.
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

    def _settings(self) -> TrainingSettings:
        from soft_students.students.soft_tree.training import TrainingSettings

        return TrainingSettings(
            depth=self.depth,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            penalty=self.penalty,
            beta=self.beta,
            beta_schedule=self.beta_schedule,
            beta_final=self.beta_final,
            sharpening=self.sharpening,
            weight_averaging=self.weight_averaging,
            device=self.device,
        )

    def _n_threads(self) -> int | None:
        return None if self.n_jobs is None else effective_n_jobs(self.n_jobs)

    def _moments(self, X: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of each feature; the latter only where it is needed."""
        mean = np.average(X, axis=0, weights=weights)
        if not self.standardize:
            return mean, np.zeros_like(mean)
        return mean, np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weights))

    def _scale_features(
        self, mean: np.ndarray, deviation: np.ndarray, dtype: np.dtype[Any]
    ) -> None:
        """Choose the unit in which gates are trained; a fitted tree takes rows as they come."""
        self._center = mean
        self._offset: np.ndarray | None = None
        self._feature_scale = np.ones(len(mean), dtype=dtype)
        if self.standardize:
            # A feature that is constant up to rounding keeps its unit: its gates learn nothing.
            floor = 10 * np.finfo(dtype).eps * np.abs(mean)
            self._offset = mean.astype(dtype)
            self._feature_scale = np.where(deviation > floor, deviation, 1).astype(dtype)

    def _shifted(self, X: np.ndarray) -> np.ndarray:
        return X if self._offset is None else (X - self._offset) / self._feature_scale

    def _training_rows(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        originals: np.ndarray,
        ask: Ask | None,
        random_state: np.random.RandomState,
    ) -> TrainingRows:
        """Gather the rows of all epochs, copies and their targets included."""
        import torch

        from soft_students.students.soft_tree.training import TrainingRows

        sample_weights = torch.from_numpy(weights / weights.mean())
        if self.transfer is None:
            return TrainingRows(
                torch.from_numpy(self._shifted(X)),
                torch.from_numpy(targets.astype(X.dtype)),
                sample_weights,
            )
        n, banks = len(X), 1 + self.transfer_copies
        low = float(X.min())
        step = (float(X.max()) - low) / 255 or 1.0
        # Distorted images in eight bits a value take a quarter of the memory of float32.
        coded = self.transfer.eight_bit and not self.standardize
        bank = np.empty((banks * n, X.shape[1]), dtype=np.uint8 if coded else X.dtype)
        bank_targets = np.empty((banks * n, targets.shape[1]), dtype=X.dtype)
        copies = taught_copies(self, X, targets, originals, ask, random_state)
        for copy, (made, told) in enumerate(itertools.chain([(X, targets)], copies)):
            place = slice(copy * n, (copy + 1) * n)
            bank_targets[place] = told
            bank[place] = (
                np.rint((made - low) / step).clip(0, 255) if coded else self._shifted(made)
            )
        return TrainingRows(
            torch.from_numpy(bank), torch.from_numpy(bank_targets), sample_weights, low, step
        )

    def _n_epochs(self, n: int) -> int:
        if self.epochs != "auto":
            return int(self.epochs)
        return max(_AUTO_EPOCHS, math.ceil(_AUTO_STEPS / math.ceil(n / self.batch_size)))

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
        rows: Rows,
        validation: tuple[np.ndarray, ...] | None,
        random_state: np.random.RandomState,
    ) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        from soft_students.persistence.checkpoints import Checkpoint
        from soft_students.students.soft_tree.training import fingerprint

        own = {name: getattr(self, name) for name in _SHAPING}
        described = (type(self).__name__, own, getattr(self, "focusing", 0.0))
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
        # A bundle or pickle holds gates in the unit of the rows: train on in that unit.
        if not hasattr(self, "_offset"):
            self._offset = self.feature_offset_
            self._feature_scale = np.ones(n_features, dtype=dtype)

    @abstractmethod
    def _trained_leaves(self) -> np.ndarray:
        """Return the fitted leaves in the unit in which they are trained."""

    @abstractmethod
    def _store_leaves(self, leaves: np.ndarray) -> None:
        """Keep trained leaves as fitted attributes."""

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

    # -- prediction -------------------------------------------------------------------------------

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        if type(X) is np.ndarray and self._is_valid(X):
            return X
        return validate_data(self, X, reset=False, dtype=[np.float64, np.float32])

    def _is_valid(self, X: np.ndarray) -> bool:
        """Tell quickly if `validate_data` would let `X` through; it costs more than one row."""
        if (
            X.dtype not in _FLOATS
            or X.ndim != 2
            or not len(X)
            or X.shape[1] != self.n_features_in_
            or hasattr(self, "feature_names_in_")
        ):
            return False
        with np.errstate(all="ignore"):
            return bool(np.isfinite(X.sum()))

    def _activations(self, X: np.ndarray) -> np.ndarray:
        return routing.gate_activations(
            X, self.gate_weights_, self.gate_biases_, self.gate_betas_, self.feature_offset_
        )

    def _leaves(self, activations: np.ndarray) -> np.ndarray:
        if self.prediction == "greedy":
            return routing.greedy_leaves(activations)
        return routing.greatest_path_leaves(routing.path_probabilities(activations))

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        """Return what the leaves say of each row, of shape (n, n_outputs)."""
        values = self._leaf_values().astype(X.dtype, copy=False)
        n_inner = len(self.gate_biases_)
        outputs = np.empty((len(X), values.shape[1]), dtype=X.dtype)
        done = 0
        for batch in routing.row_batches(X):
            activations = self._activations(batch)
            if self.prediction == "expectation":
                made = routing.path_probabilities(activations)[:, n_inner:] @ values
            else:
                made = values[self._leaves(activations) - n_inner]
            outputs[done : done + len(batch)] = made
            done += len(batch)
        return outputs

    def path_probabilities(self, X: Any) -> np.ndarray:
        """Return the probability that each row reaches each node.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_nodes)
            Node 0 is the root; node ``i`` has the children ``2i + 1`` (left) and ``2i + 2``
            (right). Each level of the tree sums to one.
        """
        X = self._checked(X)
        return np.concatenate(
            [
                routing.path_probabilities(self._activations(batch))
                for batch in routing.row_batches(X)
            ]
        )

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf that each row is given to.

        With ``prediction="greedy"`` it is where the likelier child leads from the root; otherwise
        it is the leaf of greatest path probability. The two may differ.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of int, shape (n_samples,)
            Node numbers.
        """
        X = self._checked(X)
        return np.concatenate(
            [self._leaves(self._activations(batch)) for batch in routing.row_batches(X)]
        )

    def decision_path(self, X: Any) -> csr_matrix:
        """Return the nodes between the root and the leaf of `apply`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        csr_matrix of shape (n_samples, n_nodes)
            One where a row passes through the node.
        """
        leaves = self.apply(X)
        depth = int(math.log2(len(self.gate_biases_) + 1))
        nodes = routing.ancestors(leaves, depth)
        starts = np.arange(0, nodes.size + 1, depth + 1)
        return csr_matrix(
            (np.ones(nodes.size, dtype=np.int8), nodes.ravel(), starts),
            shape=(len(nodes), 2 * len(self.gate_biases_) + 1),
        )

    def node_statistics(self, X: Any) -> dict[str, np.ndarray]:
        """Describe every node by how the rows of `X` use it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        dict of ndarray, each with one entry a node (a table: ``pandas.DataFrame(...)`` takes it)
            ``node`` and ``level``; ``reach``, the mean path probability; ``right``, the share of
            it that goes right (NaN at a leaf); ``decided``, the mean of ``|2p - 1|`` weighted by
            path probability, 1 for a hard gate and 0 for an even one (NaN at a leaf).
        """
        X = self._checked(X)
        n_inner = len(self.gate_biases_)
        reach, decided = np.zeros(2 * n_inner + 1), np.zeros(n_inner)
        for batch in routing.row_batches(X):
            activations = self._activations(batch)
            paths = routing.path_probabilities(activations)
            reach += paths.sum(axis=0)
            decided += (paths[:, :n_inner] * np.abs(np.tanh(activations / 2))).sum(axis=0)
        nowhere = np.full(n_inner + 1, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            right = reach[2::2] / reach[:n_inner]
            decided = decided / reach[:n_inner]
        nodes = np.arange(2 * n_inner + 1)
        return {
            "node": nodes,
            "level": np.floor(np.log2(nodes + 1)).astype(int),
            "reach": reach / len(X),
            "right": np.concatenate([right, nowhere]),
            "decided": np.concatenate([decided, nowhere]),
        }

    # -- pickling and bundles ---------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_trainer", "_offset", "_feature_scale", "_center"):
            state.pop(name, None)
        return state

    def _gates_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the part of a bundle that both trees share."""
        metadata: dict[str, Any] = {"n_features": self.n_features_in_, "n_iter": self.n_iter_}
        if hasattr(self, "hard_weight_"):
            metadata["hard_weight"] = self.hard_weight_
        if hasattr(self, "feature_names_in_"):
            metadata["feature_names"] = self.feature_names_in_
        arrays = {
            "gate_weights": self.gate_weights_,
            "gate_biases": self.gate_biases_,
            "gate_betas": self.gate_betas_,
        }
        if self.feature_offset_ is not None:
            arrays["feature_offset"] = self.feature_offset_
        if hasattr(self, "loss_curve_"):
            arrays["loss_curve"] = np.array(self.loss_curve_)
            arrays["validation_curve"] = np.array(self.validation_curve_)
            metadata["best_iter"] = self.best_iter_
        return metadata, arrays

    def _restore_gates(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> int:
        """Take back what `_gates_state` returned, checked; return the number of leaves."""
        n_features, n_iter = metadata["n_features"], metadata["n_iter"]
        if type(n_features) is not int or type(n_iter) is not int or n_features < 1:
            raise ValueError("n_features and n_iter must be positive integers")
        n_gates = 2**self.depth - 1
        shapes = {
            "gate_weights": (n_gates, n_features),
            "gate_biases": (n_gates,),
            "gate_betas": (n_gates,),
        }
        if "feature_offset" in arrays:
            shapes["feature_offset"] = (n_features,)
        for name, shape in shapes.items():
            take_floats(arrays, name, shape)
        names = metadata.get("feature_names")
        if names is not None:
            if not (isinstance(names, np.ndarray) and names.shape == (n_features,)):
                raise ValueError(f"feature_names must be an array of {n_features} strings")
            self.feature_names_in_ = names
        read_hard_weight(self, metadata)
        self.n_features_in_ = n_features
        self.n_iter_ = n_iter
        self.gate_weights_ = arrays["gate_weights"]
        self.gate_biases_ = arrays["gate_biases"]
        self.gate_betas_ = arrays["gate_betas"]
        self.feature_offset_ = arrays.get("feature_offset")
        if "loss_curve" in arrays:
            self._restore_curves(metadata, arrays)
        return n_gates + 1

    def _restore_curves(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        loss = take_floats(arrays, "loss_curve", (arrays["loss_curve"].size,))
        validation = arrays.get("validation_curve", np.empty(0))
        if len(validation):
            take_floats(arrays, "validation_curve", loss.shape)
        best = metadata.get("best_iter")
        if best is not None and not (type(best) is int and 0 <= best < len(validation)):
            raise ValueError(f"best_iter must be an epoch of the validation curve, not {best!r}")
        self.loss_curve_, self.validation_curve_ = loss.tolist(), validation.tolist()
        self.best_iter_ = best


def take_floats(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return one array of a bundle, or refuse it if type or shape are not what they must be."""
    array = arrays.get(name)
    if array is None:
        raise ValueError(f"the array {name!r} is missing")
    if array.dtype not in (np.float32, np.float64) or array.shape != shape:
        raise ValueError(
            f"the array {name!r} must be floating, of shape {shape}; it is {array.dtype} of shape "
            f"{array.shape}"
        )
    return array
