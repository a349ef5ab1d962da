"""
Cross-entropy: its relatives, large logits, weighted classes
============================================================

The loss of a classifier is the mean of ``-log p[true class]``. Computed as written it
breaks down when an output is large; computed as a log-softmax it does not. And it can
give some classes more weight than others, which is what rare ones need. But first, what
it has to do with entropy, divergence and the squared error.
"""

import numpy as np
from scipy.special import log_softmax
from sklearn.datasets import make_blobs
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from fastbp import MLPClassifier
from fastbp.losses import KLDivergence, LogLoss, SquaredError, SymmetricCrossEntropy

# %%
# Three classes have the probabilities ``t``, and a network says ``p``. The part of each
# class in a loss is its ``per_output``. The cross-entropy is least where ``p = t``, and
# is then the entropy of ``t``, which no network can change. The rest is the divergence.
t = np.array([[0.7, 0.2, 0.1]])
p = np.array([[0.5, 0.3, 0.2]])


def total(loss, targets, outputs):
    return loss.per_output(targets, outputs).sum()


cross_entropy, entropy = total(LogLoss(), t, p), total(LogLoss(), t, t)
print(f"cross-entropy              {cross_entropy:.4f}")
print(f"entropy + divergence       {entropy + total(KLDivergence(), t, p):.4f}")
print(f"symmetric cross-entropy    {total(SymmetricCrossEntropy(), t, p):.4f}")
print(f"cross-entropies both ways  {cross_entropy + total(LogLoss(), p, t):.4f}")
print(f"squared error, with 1/2    {total(SquaredError(), t, p):.4f}")
print(f"without                    {((t - p) ** 2).sum():.4f}")

# %%
# The binary cross-entropy is that of two classes, with the probabilities p and 1 - p.
binary = -(0.7 * np.log(0.5) + 0.3 * np.log(1 - 0.5))
both = total(LogLoss(), np.array([[0.7, 0.3]]), np.array([[0.5, 0.5]]))
print(f"binary cross-entropy       {both:.4f}, by hand {binary:.4f}")

# %%
# A network without hidden layer, whose weights are the identity: its inputs are its
# logits.
network = MLPClassifier((), random_state=0).partial_fit(
    np.eye(3), [0, 1, 2], classes=[0, 1, 2]
)
network.coefs_, network.intercepts_ = [np.eye(3)], [np.zeros(3)]

sizes = np.logspace(0, 5, 200)
logits = np.outer(sizes, [1.0, 0.0, -1.0])
with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
    exponentials = np.exp(logits)
    naive = -np.log(exponentials / exponentials.sum(axis=1, keepdims=True))
stable = -network.predict_log_proba(logits)
print("-log p of the three classes, for logits 1000, 0, -1000")
print("as written: ", naive[np.searchsorted(sizes, 1000)].round())
print("log-softmax:", 0 - network.predict_log_proba([[1000.0, 0.0, -1000.0]])[0])

# %%
# The weighted loss: each sample counts with the weight of its class, and the sum is
# divided by the sum of the weights. A weight of 0 leaves samples out, whatever their
# label. ``loss_`` after a first step is the loss before it.
rng = np.random.default_rng(0)
X = rng.normal(size=(30, 3))
y = rng.integers(0, 3, 30)
class_weight = {0: 1.0, 1: 5.0, 2: 0.5}
keep = (np.arange(30) % 4 > 0).astype(float)
network = MLPClassifier(
    (), solver="sgd", class_weight=class_weight, alpha=0.0, random_state=0
)
network.partial_fit(X, y, classes=[0, 1, 2])
losses = -log_softmax(X @ network.coefs_[0] + network.intercepts_[0], axis=1)
weights = keep * [class_weight[label] for label in y]
by_hand = weights @ losses[np.arange(30), y] / weights.sum()
network.partial_fit(X, y, sample_weight=keep)
print(f"weighted cross-entropy: {network.loss_:.12f}, by hand {by_hand:.12f}")

# %%
# One sample in twenty belongs to the class that matters. Without weights the network is
# right most of the time when it says that there is none.
X, y = make_blobs(
    [1900, 100], centers=[[0, 0], [1.6, 1.2]], cluster_std=[1.0, 0.7], random_state=0
)
SETTINGS = {"no weights": None, "1 : 5": {0: 1, 1: 5}, "balanced": "balanced"}
networks = {}
for name, weights in SETTINGS.items():
    networks[name] = MLPClassifier(
        (20,), "tanh", class_weight=weights, learning_rate_init=0.01, random_state=0
    ).fit(X[::2], y[::2])
    predicted = networks[name].predict(X[1::2])
    (_, false_alarms), (missed, found) = confusion_matrix(y[1::2], predicted)
    balanced = balanced_accuracy_score(y[1::2], predicted)
    print(
        f"{name:10} finds {found:2} of {found + missed}, {false_alarms:3} false alarms,"
        f" balanced accuracy {balanced:.3f}"
    )

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    left.loglog(sizes, stable[:, 2], linewidth=5, alpha=0.4, label="log-softmax")
    left.loglog(sizes, naive[:, 2], color="black", label="as written")
    left.set(
        xlabel="size of the logits", ylabel="-log p of the least class", title="Softmax"
    )
    left.legend(frameon=False)
    ticks = np.linspace(-3.5, 4, 150)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    right.scatter(*X[y == 0].T, s=4, color="lightgray")
    right.scatter(*X[y == 1].T, s=6, color="tab:red")
    for (name, network), color in zip(
        networks.items(), ["black", "tab:blue", "tab:green"], strict=True
    ):
        p = network.predict_proba(plane)[:, 1].reshape(150, 150)
        right.contour(ticks, ticks, p, levels=[0.5], colors=color)
        right.plot([], color=color, label=name)
    right.set(title="Where the rare class begins", aspect=1)
    right.legend(frameon=False, loc="lower left")
    figure.savefig("plot_cross_entropy.png", dpi=120)
