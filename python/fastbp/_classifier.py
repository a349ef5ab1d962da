"""MLPClassifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from ._base import BaseMLP
from ._class_weight import class_weighted
from ._compat import Interval, StrOptions, check_partial_fit_first_call, fit_context
from ._data import (
    Samples,
    are_weights_of_entries,
    check_entry_weights,
    check_weights,
    check_Xy,
    weighted_mean,
)
from ._refusals import refuse_weights_of_entries
from .activations import Logistic
from .losses import (
    CLASSIFICATION_LOSSES,
    SUM_TOLERANCE,
    KLDivergence,
    LogLoss,
    Loss,
    loss_of,
)
from .optimizers import Optimizer

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron classifier.

    A drop-in replacement of :class:`sklearn.neural_network.MLPClassifier`: the same
    parameters, attributes and messages, and for the same ``random_state`` the same
    model. It minimises the log-loss, or another ``loss``, by stochastic gradient
    descent, one of its adaptive variants, or L-BFGS.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(100,)
        Number of units of each hidden layer; ``()`` is multinomial logistic regression
        (lectures 000, 001 and 002, networks without a hidden layer).
    activation : {'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', \
'hard_tanh', 'gelu', 'silu', 'mish', 'softplus'}, Activation or list, default='relu'
        Activation of the hidden layers (lecture 000, activation functions), or a list
        or tuple with one for each of them. 'leaky_relu' has slope 0.01 for negative
        arguments, 'elu' has alpha 1, 'gelu' is the exact one. The page on estimators in
        the documentation has a table of formulas, derivatives and sources.
    solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'rmsprop', 'adagrad', 'nadam', 'lion'} \
or Optimizer, default='adam'
        'sgd' is stochastic gradient descent (lecture 002, momentum), 'adam' that of
        Kingma and Ba [1]_, 'lbfgs' SciPy's L-BFGS-B, for small data. 'adamw' is Adam
        with ``weight_decay`` [2]_, 'rmsprop' divides by a moving average of the
        gradient's size [3]_, 'adagrad' by the sum over all steps [4]_, 'nadam' is Adam
        with Nesterov's momentum [5]_, and 'lion' steps by the sign of a momentum [6]_.
        An object of :mod:`fastbp.optimizers` brings its own rate, moments and epsilon:
        ``learning_rate_init``, ``momentum``, ``nesterovs_momentum``, ``beta_1``,
        ``beta_2`` and ``epsilon`` must then be left as they are. Beside the name of a
        solver that scikit-learn has not, what it has no use for must be left as well.
    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha / 2 * sum(W ** 2)`` on the weights (lecture
        002, weight decay), divided by the number (sum of weights) of a batch's samples.
    batch_size : int or 'auto', default='auto'
        Samples of a mini-batch; 'auto' is ``min(200, n_samples)``. Not used by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the rate for 'sgd': constant; ``learning_rate_init / (t + 1) **
        power_t`` after ``t`` samples; or divided by 5 when the training stalls.
    learning_rate_init : float, default=0.001
        Initial learning rate of the stochastic solvers. 'adagrad' wants a larger one
        than the default, about 0.01, and 'lion' a smaller one, about 0.0001.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs (stochastic solvers) or iterations ('lbfgs').
    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, validation split and shuffling. With an int,
        successive calls of ``partial_fit`` go on in one random stream.
    tol : float, default=1e-4
        An epoch that does not improve the loss (the validation score, with
        ``early_stopping``) by this much is a bad one; for 'lbfgs' the tolerance of the
        gradient.
    verbose : bool, int or 'progress', default=False
        Whether to print the loss of each epoch. 'progress' shows a bar instead.
    warm_start : bool, default=False
        Whether ``fit`` starts from the weights that are there.
    momentum : float, default=0.9
        Momentum of 'sgd', in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that is Nesterov's.
    early_stopping : bool, default=False
        Whether to set ``validation_fraction`` of the samples aside, watch the accuracy
        on them, and keep the best weights (lecture 002, early stopping).
    validation_fraction : float, default=0.1
        Fraction of the samples for ``early_stopping``, in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the moments of 'adam', 'adamw', 'nadam' and 'lion', in [0, 1);
        'rmsprop' has ``beta_2`` only. The authors of 'lion' take 0.99 for ``beta_2``,
        those of 'rmsprop' 0.9.
    epsilon : float, default=1e-8
        Added to the denominator of a step; not used by 'sgd' and 'lion'.
    n_iter_no_change : int or inf, default=10
        Training ends after more than this many bad epochs in a row.
    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.
    n_jobs : int or None, default=None
        Threads. None means the limit of OMP_NUM_THREADS or threadpoolctl if there is
        one, else the physical cores. The model does not depend on it, to the last bit.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Floating-point type of the network. 'auto' is float32 for a float32 X, float64
        for any other. X is not copied to convert it.
    weight_decay : float or None, default=None
        Before each step weights are multiplied by 1 - learning rate * ``weight_decay``
        [2]_, with any stochastic solver; not negative. None is 0.01 for 'adamw' and 0
        for the others.
    l1 : float, default=0.0
        Strength of the L1 penalty ``l1 * sum(abs(W))`` on the weights, divided like
        that of ``alpha``; not negative.
    max_norm : float or None, default=None
        Largest Euclidean norm of the weights that enter a unit: after a step larger
        ones are scaled to it ([7]_; lecture 002, limiting the size of the weights).
        None sets no limit.
    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient of all weights and biases, penalties
        included: a larger one is scaled to it before the step [8]_. None sets no limit.
        'lbfgs' has none of the last four.
    lr_schedule : str, Schedule of :mod:`fastbp.schedules` or None, default=None
        Factor of ``learning_rate_init`` at each step (not of 'lbfgs'): 'constant',
        'cosine', 'exponential', 'inverse_scaling', 'linear', 'one_cycle', 'plateau',
        'step', 'warmup', or an object. Needs ``learning_rate='constant'``.
    warmup : float, default=0
        Epochs, whole or not, in which the rate rises to its full value before the
        schedule begins; less than ``max_iter``.
    scoring : str, callable or None, default=None
        Score on the validation set: any scorer of scikit-learn, 'loss' (the negative
        loss), or None for the accuracy.
    restore_best : bool or None, default=None
        Whether ``fit`` keeps the weights of the best validation score; None means that
        of ``early_stopping``. Else those of the last epoch are kept.
    max_time : float or None, default=None
        Seconds: ``fit`` ends after the epoch in which they are over. Schedules are
        stretched to them if they allow fewer than ``max_iter`` epochs; the model then
        depends on the speed of the machine.
    callbacks : list or None, default=None
        Objects of :mod:`fastbp.callbacks`, or functions ``(estimator, record)``, called
        after each epoch; one that returns True ends the training.
    validation_stratify : bool, default=False
        Whether ``early_stopping`` splits each class of a multiclass y in the same
        proportion; of a binary y it always does.
    class_weight : dict, 'balanced', list of dict or None, default=None
        Weights of the classes, by which those of the samples are multiplied (also of
        the samples that ``early_stopping`` sets aside). 'balanced' is ``n_samples /
        (n_classes * count)``. For several labels, 'balanced' or one dict for each.
    weight_init : str, Initializer of :mod:`fastbp.initializers`, callable, list or \
None, default=None
        Initial weights: 'glorot_uniform', 'glorot_normal', 'he_uniform', 'he_normal',
        'lecun_uniform', 'lecun_normal', 'orthogonal', 'zeros', or an object, or a
        function ``(fan_in, fan_out, rng)``, or a list with one for each layer of
        weights; biases are then zero. None draws both as scikit-learn does, with the
        same random numbers.
    ema : float or None, default=None
        Decay, in (0, 1), of an exponential moving average of weights, biases and gains
        over the steps [9]_. The average is what is validated and what ``coefs_``,
        ``intercepts_`` and ``norms_`` are; ``partial_fit`` and ``warm_start`` go on
        from the weights themselves, which are kept beside it. Not for 'lbfgs'.
    grad_tol : float or None, default=None
        ``fit`` ends after an epoch in which the norm of the gradient (of all weights
        and biases, penalties included), on average over the batches, was less than this
        (lectures 000 and 003, algorithm 1); above 0. Not for 'lbfgs', which has
        ``tol``.
    loss : {'log_loss', 'squared_error', 'focal', 'symmetric_cross_entropy', \
'kl_divergence'}, Loss of :mod:`fastbp.losses` or callable, default='log_loss'
        What is minimised (lecture 000, training error): a name stands for the default
        object. With 'kl_divergence' y may be probabilities of the classes. A function
        ``(y_true, y_pred) -> (value per row, gradient)`` gets two arrays of shape
        (n_rows, n_outputs), targets (1 for the class, or 0) and probabilities, for
        each batch; it returns arrays of shape (n_rows,) and (n_rows, n_outputs), the
        derivative with respect to ``y_pred``, both without the weights of the samples.
    output_activation : {'logistic'} or None, default=None
        None is 'softmax' for one of several classes, else 'logistic'. With 'logistic'
        each class has an output of its own, and ``predict_proba`` divides them by their
        sum (lecture 004: with ``loss='squared_error'``).
    label_smoothing : float, default=0.0
        In [0, 1): targets are mixed with so much of the uniform distribution over the
        classes, of which a logistic output has two.
    dropout : float or list of float, default=0.0
        Probability, in [0, 1), with which the output of a hidden unit is set to 0 in a
        step of training; the others are divided by 1 - ``dropout`` [7]_. One number,
        or one for each hidden layer. Rates are rounded to multiples of 2 ** -16.
    input_dropout : float, default=0.0
        The same for the features of X.
    normalization : {'layer', 'batch'} or None, default=None
        Whether the weighted inputs of the hidden units are brought to mean 0 and
        variance 1 before a gain, a bias and the activation: 'layer' over the units of
        a layer [10]_, 'batch' over the samples of a batch, in prediction by running
        averages [11]_. 'lbfgs' has 'layer' only, and no dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Least loss of an epoch; None with ``early_stopping``.
    loss_curve_ : list of float
        Mean loss during each epoch, penalty included.
    validation_scores_ : list of float or None
        Accuracy (or ``scoring``) on the validation samples after each epoch.
    best_validation_score_ : float or None
        The best of them.
    validation_loss_curve_ : list of float or None
        Mean loss on the validation samples after each epoch, without penalty.
    t_ : int
        Samples seen in training.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    norms_ : list of dict
        With ``normalization``: of each hidden layer the arrays 'gain' and 'bias', of
        shape (n_units,), and with 'batch' the running 'mean' and 'variance'.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X has names that are all strings.
    n_iter_ : int
        Epochs or iterations of the last fit.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of output units: 1 for two classes.
    out_activation_ : {'logistic', 'softmax'}
        Activation of the output layer.
    feature_importances_ : ndarray of shape (n_features,)
        Mean absolute gradient times input, over outputs and at most 256 training
        samples, computed when it is asked for: see ``input_gradient``.

    See Also
    --------
    MLPRegressor : The same network for regression.

    Notes
    -----
    Ctrl-C raises KeyboardInterrupt within a fraction of a second; the estimator then
    keeps the last complete epoch. A fit that fails leaves the estimator as it was.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization", 2014,
       arXiv:1412.6980.
    .. [2] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2017,
       arXiv:1711.05101.
    .. [3] T. Tieleman and G. Hinton, "Lecture 6.5 - RMSProp", COURSERA: Neural Networks
       for Machine Learning, 2012.
    .. [4] J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online
       learning and stochastic optimization", JMLR 12, 2011.
    .. [5] T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop, 2016.
    .. [6] X. Chen et al., "Symbolic discovery of optimization algorithms", 2023,
       arXiv:2302.06675.
    .. [7] N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
       overfitting", JMLR 15, 2014, section 5.1.
    .. [8] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training
       recurrent neural networks", 2013, arXiv:1211.5063.
    .. [9] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by
       averaging", SIAM J. Control and Optimization 30, 1992; exponentially, C. Szegedy
       et al., "Rethinking the inception architecture", 2015, arXiv:1512.00567, section
       8.
    .. [10] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016,
       arXiv:1607.06450.
    .. [11] S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network
       training by reducing internal covariate shift", 2015, arXiv:1502.03167.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> clf = MLPClassifier(max_iter=400, random_state=1).fit(X, y)
    >>> clf.predict(X[:5])
    array([1, 1, 1, 0, 0])
    """

    _parameter_constraints = {
        **BaseMLP._parameter_constraints,
        "validation_stratify": ["boolean"],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES)), Loss, callable],
        "output_activation": [StrOptions({"logistic"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    validation_stratify: bool
    class_weight: Any
    loss: Any
    output_activation: str | None
    label_smoothing: float
    classes_: NDArray[Any]
    _label_binarizer: Any

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
        dtype: str = "auto",
        weight_decay: float | None = None,
        l1: float = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        lr_schedule: Any = None,
        warmup: float = 0,
        scoring: Any = None,
        restore_best: bool | None = None,
        max_time: float | None = None,
        callbacks: Any = None,
        validation_stratify: bool = False,
        class_weight: Any = None,
        weight_init: Any = None,
        loss: Any = "log_loss",
        output_activation: str | None = None,
        label_smoothing: float = 0.0,
        ema: float | None = None,
        grad_tol: float | None = None,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        normalization: str | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            n_jobs=n_jobs,
            dtype=dtype,
            weight_decay=weight_decay,
            l1=l1,
            max_norm=max_norm,
            clip_norm=clip_norm,
            lr_schedule=lr_schedule,
            warmup=warmup,
            scoring=scoring,
            restore_best=restore_best,
            max_time=max_time,
            callbacks=callbacks,
            validation_stratify=validation_stratify,
            class_weight=class_weight,
            weight_init=weight_init,
            loss=loss,
            output_activation=output_activation,
            label_smoothing=label_smoothing,
            ema=ema,
            grad_tol=grad_tol,
            dropout=dropout,
            input_dropout=input_dropout,
            normalization=normalization,
        )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; any integer, bool or floating-point type, dense with any strides,
            CSR or CSC.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels, or an indicator matrix of several labels; with
            ``loss='kl_divergence'`` also probabilities of the classes 0, 1 ...
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_classes), \
default=None
            Weights, not negative and not all zero; of several labels also a weight for
            each. A mini-batch whose weights are all zero is skipped.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set. ``early_stopping`` uses it and splits nothing
            off; without, loss and score on it are only recorded. In a
            :class:`~sklearn.pipeline.Pipeline`, metadata routing brings it here, and
            ``transform_input=["X_val"]`` transforms X_val as it does X.
        y_val : array-like of shape (n_val,) or (n_val, n_classes), default=None
            Their targets, as y; needed with X_val.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_classes), \
default=None
            Their weights, as sample_weight.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        ValueError
            If an argument is invalid, or if training diverges: then in the epoch in
            which it does, and the estimator is as it was before the call.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation)

    @available_if(lambda est: est._has_partial_fit())
    # False: so `skip_parameter_validation` within it is what the user has set.
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """Train for one epoch over the given samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_classes), \
default=None
            Weights, as for ``fit``.
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls; required in the first.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set: loss and score on it are recorded, and with
            ``early_stopping`` the score decides what a bad epoch is. The weights are
            always those of the last epoch, and it is up to the caller to stop.
        y_val : array-like of shape (n_val,) or (n_val, n_classes), default=None
            Their targets, as y; needed with X_val.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_classes), \
default=None
            Their weights, as sample_weight.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        AttributeError
            If ``solver`` is 'lbfgs'.
        ValueError
            As for ``fit``.
        """
        with self._unchanged_if_it_fails():
            if check_partial_fit_first_call(self, classes):
                self._label_binarizer = LabelBinarizer()
                several = type_of_target(y).startswith("multilabel")
                several = several and not self._are_probabilities(y)
                self._label_binarizer.fit(y if several else classes)
            validation = (X_val, y_val, sample_weight_val)
            interrupt = self._fit_checked(X, y, sample_weight, validation, True)
        if interrupt is not None:
            raise interrupt
        return self

    def _validate(
        self, X: Any, y: Any, *, incremental: bool, reset: bool
    ) -> tuple[Any, Any]:
        X, y = check_Xy(self, X, y, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        are_probabilities = self._are_probabilities(y)
        if are_probabilities:
            y = _check_probabilities(y)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            labels = np.arange(y.shape[1]) if are_probabilities else y
            self._label_binarizer = _fitted_binarizer(labels)
            self.classes_ = self._label_binarizer.classes_
        elif are_probabilities:
            self._check_columns(y)
        else:
            self._check_classes(_classes_of(y))
        return X, y

    def _are_probabilities(self, y: Any) -> bool:
        """Tell whether y has a column of probabilities for each class."""
        return isinstance(self._loss(), KLDivergence) and np.ndim(y) == 2

    def _check_columns(self, y: NDArray[Any]) -> None:
        if y.shape[1] != len(self.classes_):
            raise ValueError(
                f"y must have a column for each of the {len(self.classes_)} classes, "
                f"got {y.shape[1]}"
            )

    def _check_classes(self, classes: NDArray[Any]) -> None:
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same "
                    "classes as in the previous call to fit. Previously "
                    f"got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = check_Xy(self, X, y, reset=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self._are_probabilities(y):
            y = _check_probabilities(y)
            self._check_columns(y)
            return X, y
        if self._is_multilabel() and np.ndim(y) == 1:
            raise ValueError(
                f"y must have a column for each of the {len(self.classes_)} labels, "
                f"got shape {np.shape(y)}"
            )
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(
                f"y_val has classes {unknown} that are not among {self.classes_}"
            )
        return X, y

    def _check_weights(self, sample_weight: Any, X: Any, y: Any) -> Any:
        if self._is_multilabel() and are_weights_of_entries(sample_weight, y):
            weights = check_entry_weights(sample_weight, y)
            refuse_weights_of_entries(self, weights)
            return weights
        return check_weights(sample_weight, X)

    def _class_weighted(self, weights: Any, y: Any, *, incremental: bool) -> Any:
        if self.class_weight is None:
            return weights
        if self._are_probabilities(y):
            raise ValueError(
                "class_weight must be None when y holds probabilities of classes, got "
                f"{self.class_weight!r}"
            )
        return class_weighted(
            weights, y, self.class_weight, self.classes_, incremental=incremental
        )

    def _encode(self, y: Any, dtype: Any) -> NDArray[Any]:
        """Return class indices (softmax), or numbers (n_samples, n_outputs)."""
        kind = self._label_binarizer.y_type_
        if self._are_probabilities(y):
            self.n_outputs_ = len(self.classes_) if kind == "multiclass" else 1
            return np.require(y[:, -self.n_outputs_ :], dtype, ["C", "A"])
        if kind.startswith("multilabel"):
            y = self._label_binarizer.transform(y)
            y = y.toarray() if sparse.issparse(y) else y
            self.n_outputs_ = y.shape[1]
            return np.require(y.astype(np.bool_), dtype, ["C", "A"])
        if np.ndim(y) == 2:
            raise ValueError(
                f"y has {y.shape[1]} columns, but the classes {self.classes_} are "
                "those of a single column"
            )
        index = np.searchsorted(self.classes_, y)
        if kind == "multiclass":
            self.n_outputs_ = len(self.classes_)
            if self._output_activation() == "logistic":
                one_hot: NDArray[Any] = np.eye(self.n_outputs_, dtype=dtype)[index]
                return one_hot
            return np.require(index, np.int64, ["C", "A"])
        self.n_outputs_ = 1
        return np.require(index.reshape(-1, 1), dtype, ["C", "A"])

    def _decode(self, y: NDArray[Any]) -> NDArray[Any]:
        if self._is_multilabel():
            return y.astype(np.int64)
        labels: NDArray[Any] = self.classes_[self._true_classes(y)]
        return labels

    def _true_classes(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return indices of the classes, the most probable ones of probabilities."""
        if y.ndim == 1:
            return y
        if y.shape[1] == 1:
            return (y.ravel() > 0.5).astype(np.int64)
        most_probable: NDArray[Any] = y.argmax(axis=1)
        return most_probable

    def _output_activation(self) -> str:
        if self.output_activation is not None:
            return self.output_activation
        return "softmax" if self._is_multiclass() else "logistic"

    def _is_multiclass(self) -> bool:
        return bool(self._label_binarizer.y_type_ == "multiclass")

    def _output_of(self, target: Any) -> tuple[int, int]:
        found = np.flatnonzero(self.classes_ == target)
        if len(found) != 1:
            raise ValueError(f"target must be one of {self.classes_}, got {target!r}")
        if self._is_multiclass() or self._is_multilabel():
            return int(found[0]), 1
        return 0, 1 if found[0] == len(self.classes_) - 1 else -1

    def _loss(self) -> Loss:
        return loss_of(self.loss, CLASSIFICATION_LOSSES, estimator="MLPClassifier")

    def _smoothing(self) -> float:
        loss = self._loss()
        if isinstance(loss, LogLoss) and loss.label_smoothing:
            return loss.label_smoothing
        return self.label_smoothing

    def _output_score(self, outputs: NDArray[Any], validation: Samples) -> float:
        """Return the accuracy, for several labels that of all of them at once.

        If labels have weights of their own, it is that of the single labels.
        """
        weights = validation.weights
        if len(self.classes_) == 1:  # it is predicted whatever the output is
            return 1.0
        if self._is_multiclass():
            correct = outputs.argmax(axis=1) == self._true_classes(validation.y)
            return weighted_mean(correct, weights)
        correct = (outputs > 0.5) == (validation.y > 0.5)
        if weights is None or weights.ndim == 1:
            correct = correct.all(axis=1)
        return weighted_mean(correct, weights)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray or CSR matrix of shape (n_samples,) or (n_samples, n_classes)
            Labels, of the dtype of ``classes_``; of several labels an indicator matrix
            of integers, sparse if that of ``fit`` was.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X does not have the features that ``fit`` was given, holds NaN or
            infinity, or is so large that a prediction is NaN.
        """
        outputs = self._outputs(X)
        y: NDArray[Any]
        if self._is_multilabel():
            y = self._label_binarizer.inverse_transform(outputs)
        elif self._is_multiclass():
            y = self.classes_[outputs.argmax(axis=1)]
        else:
            positive = outputs.ravel() > 0.5
            y = self.classes_[np.minimum(positive, len(self.classes_) - 1)]
        return y

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``; of each of several labels.
            float32 if the weights are float32 and, with ``dtype='auto'``, X is; else
            float64.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X does not have the features that ``fit`` was given, holds NaN or
            infinity, or is so large that a prediction is NaN.
        """
        p = self._outputs(X)
        if self._is_one_of_several():
            p /= np.maximum(p.sum(axis=1, keepdims=True), np.finfo(p.dtype).tiny)
            return p
        if self.n_outputs_ > 1 or self._is_multilabel():
            return p
        if len(self.classes_) == 1:
            return np.ones_like(p)
        return np.hstack([1 - p, p])

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the pre-activations of the output layer, the logits.

        The probabilities are their softmax, or logistic function; unlike these, they
        never saturate (lecture 000, softmax). scikit-learn's class has no such method,
        and meta-estimators prefer it to ``predict_proba`` where there are both.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        z : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the logit of ``classes_[1]``, else of each class or label.
            float32 if the weights are float32 and, with ``dtype='auto'``, X is; else
            float64.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X does not have the features that ``fit`` was given, holds NaN or
            infinity, or is so large that a prediction is NaN.
        """
        z = self._outputs(X, raw=True)
        return z if self.n_outputs_ > 1 or self._is_multilabel() else z.ravel()

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict logarithms of the probabilities of the classes.

        They are computed from the pre-activations z of the output layer, as
        ``z - log(sum(exp(z)))`` or ``-log(1 + exp(-z))``, and are finite where
        ``log(predict_proba(X))`` is not (lecture 000, log-softmax).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Logarithms of the probabilities, in the order of ``classes_``.
            float32 if the weights are float32 and, with ``dtype='auto'``, X is; else
            float64.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X does not have the features that ``fit`` was given, holds NaN or
            infinity, or is so large that a prediction is NaN.
        """
        z = self._outputs(X, raw=True)
        log_p: NDArray[Any]
        if self._is_one_of_several():
            log_p = log_softmax(-np.logaddexp(0, -z), axis=1)
        elif self._is_multiclass():
            log_p = log_softmax(z, axis=1)
        elif self._is_multilabel():
            # Above one half from the probability itself, so that both rank alike where
            # it is rounded to 1.
            p = Logistic()(z)
            log_p = np.where(p > 0.5, np.log(np.maximum(p, 0.5)), -np.logaddexp(0, -z))
        elif len(self.classes_) == 1:
            log_p = np.zeros_like(z)
        else:
            log_p = -np.logaddexp(0, np.hstack([z, -z]))
        return log_p

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            True labels; of several labels all must be right. With
            ``loss='kl_divergence'`` also probabilities, whose most probable class is
            the true one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            In [0, 1].

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If an argument is invalid.
        """
        check_is_fitted(self)
        if self._are_probabilities(y):
            y = _check_probabilities(y)
            self._check_columns(y)
            y = self._decode(y)
        return float(super().score(X, y, sample_weight))

    def _is_one_of_several(self) -> bool:
        """Tell whether the classes exclude each other, but the outputs do not."""
        return self._is_multiclass() and self.out_activation_ == "logistic"

    def _is_multilabel(self) -> bool:
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _fitted_binarizer(labels: Any) -> LabelBinarizer:
    """Return ``LabelBinarizer().fit(labels)``, of usual integers in less time."""
    binarizer = LabelBinarizer()
    if _are_integers(labels):
        classes = np.unique(labels)
        if 2 * len(classes) <= len(labels):  # other versions warn of more
            binarizer.classes_ = classes
            binarizer.y_type_ = "binary" if len(classes) <= 2 else "multiclass"
            binarizer.sparse_input_ = False
            return binarizer
    return binarizer.fit(labels)


def _classes_of(y: Any) -> NDArray[Any]:
    """Return ``unique_labels(y)``, likewise."""
    classes: NDArray[Any] = np.unique(y) if _are_integers(y) else unique_labels(y)
    return classes


def _are_integers(y: Any) -> bool:
    if type(y) is not np.ndarray or y.ndim != 1:
        return False
    return y.dtype.kind in "iu" and y.dtype.isnative


def _check_probabilities(y: Any) -> NDArray[np.float64]:
    """Return y (n_samples, n_classes) as rows of numbers that are probabilities."""
    checked: NDArray[np.float64] = check_array(y, dtype=np.float64, input_name="y")
    excess = np.abs(checked.sum(axis=1) - 1)
    excess[(checked < 0).any(axis=1)] = np.inf
    if excess.max() > SUM_TOLERANCE:
        at = int(excess.argmax())
        raise ValueError(
            "the rows of y must be probabilities of the classes, not negative and with "
            f"the sum 1, for loss='kl_divergence', got y[{at}] = {checked[at]}"
        )
    return checked
