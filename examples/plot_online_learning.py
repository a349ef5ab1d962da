"""
Learning from a stream
======================

Data that comes a little at a time, from a source that changes: ``partial_fit`` goes on
learning, where a network that was trained once and for all grows worse. Each chunk is
predicted first and learnt from afterwards, which is an honest test at all times.
"""

import numpy as np

from fastbp import MLPClassifier

N_CHUNKS, N_ROWS = 400, 50
rng = np.random.default_rng(0)


# %%
# Two classes, divided by a wave whose direction turns by three eighths of a circle,
# jumps back in the middle of the stream, and turns again.
def next_chunk(time):
    """Return X and y of a moment between 0 and 1."""
    angle = 1.5 * np.pi * (time if time < 0.5 else time - 0.5)
    X = rng.uniform(-1, 1, size=(N_ROWS, 2))
    along = X @ [np.cos(angle), np.sin(angle)]
    across = X @ [-np.sin(angle), np.cos(angle)]
    return X, (across > 0.4 * np.sin(4 * along)).astype(int)


settings = {"hidden_layer_sizes": (30,), "activation": "tanh", "random_state": 0}
networks = {
    "first 40 chunks only": MLPClassifier(learning_rate_init=0.02, **settings),
    "goes on, rate 0.002": MLPClassifier(learning_rate_init=0.002, **settings),
    "goes on, rate 0.02": MLPClassifier(learning_rate_init=0.02, **settings),
}
right = {name: [] for name in networks}
for chunk in range(N_CHUNKS):
    X, y = next_chunk(chunk / N_CHUNKS)
    for name, network in networks.items():
        if chunk > 0:
            right[name].append(network.score(X, y))
        if chunk < 40 or name.startswith("goes on"):
            network.partial_fit(X, y, classes=[0, 1])

# %%
print("accuracy on chunks before they are learnt from")
for name, accuracies in right.items():
    before, after = np.split(np.array(accuracies), [N_CHUNKS // 2])
    print(f"{name:21} {before.mean():.3f} before the jump, {after.mean():.3f} after it")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    window = np.ones(15) / 15
    for name, accuracies in right.items():
        smooth = np.convolve(accuracies, window, mode="valid")
        axes.plot(15 + np.arange(len(smooth)), smooth, label=name)
    axes.axvline(N_CHUNKS // 2, color="gray", linestyle=":")
    axes.set(xlabel=f"chunk of {N_ROWS} rows", ylabel="accuracy, mean of 15 chunks")
    axes.legend(frameon=False)
    figure.savefig("plot_online_learning.png", dpi=120)
