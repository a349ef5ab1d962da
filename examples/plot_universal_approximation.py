"""
Universal approximation, by hand and by training
================================================

One hidden layer is enough to come close to any continuous function, if it is wide
enough. The proof can be drawn (lecture 000, expressive power of a three-layer network):
a steep sigmoid unit is a step at s = -b/w, two steps are a bump, many bumps are any
curve, and steps in two directions with a threshold behind them are a tower. Here the
networks are built from given weights. Then one learns the same curve.
"""

import numpy as np

from fastbp import Network, Trainer
from fastbp.layers import Dense
from fastbp.optimizers import Adam

STEEP = 1000.0  # weight of a hidden unit: the larger, the steeper


def steps(places, heights):
    """Build a network with a step of a given height at each place."""
    n = len(places)
    hidden = Dense(
        n,
        "logistic",
        weights=np.full((1, n), STEEP),
        bias_values=-STEEP * np.asarray(places),
    )
    output = Dense(1, weights=np.reshape(heights, (n, 1)))
    return Network([hidden, output], n_in=1)


# %%
# A step, and a bump of height 1.2 between 0.4 and 0.6.
x = np.linspace(0, 1, 1001)[:, np.newaxis]
step = steps([0.4], [1.0])
bump = steps([0.4, 0.6], [1.2, -1.2])
print("step before and after s = 0.4:", step.predict([[0.39], [0.41]]).ravel().round(3))
print("bump at 0.3, 0.5, 0.7:", bump.predict([[0.3], [0.5], [0.7]]).ravel().round(3))


# %%
# Many bumps side by side: each step goes from one value of the curve to the next.
def curve(x):
    return 0.2 + 0.4 * x**2 + 0.3 * x * np.sin(15 * x) + 0.05 * np.cos(50 * x)


def bumps(n):
    edges = np.linspace(0, 1, n + 1)[:-1]
    values = curve(edges + 0.5 / n)
    edges[0] = -0.1  # the first step is outside
    return steps(edges, np.diff(values, prepend=0.0))


approximations = {n: bumps(n) for n in (10, 50)}
for n, network in approximations.items():
    error = np.abs(network.predict(x) - curve(x)).max()
    print(f"{n} bumps: largest error {error:.3f}")

# %%
# A tower over a square: two steps along each input, of height h. In the square the sum
# is 2 h, elsewhere at most h; a unit with the bias -3 h / 2 tells these apart.
h = 10.0
directions = np.array([[STEEP, STEEP, 0, 0], [0, 0, STEEP, STEEP]])
tower = Network(
    [
        Dense(
            4,
            "logistic",
            weights=directions,
            bias_values=[-0.3 * STEEP, -0.7 * STEEP] * 2,
        ),
        Dense(1, "logistic", weights=[[h], [-h], [h], [-h]], bias_values=[-1.5 * h]),
    ],
    n_in=2,
)
inside, outside = tower.predict([[0.5, 0.5], [0.5, 0.9]]).ravel()
print(f"tower: {inside:.3f} in the square, {outside:.3f} outside")

# %%
# Training finds a better use of as many units: smooth ones. They begin as steps with
# random places and slopes; from small weights, which make all of them flat, a network
# learns only the slow part of the curve in this time.
rng = np.random.default_rng(0)
slopes = rng.uniform(-60, 60, (1, 50))
hidden = Dense(
    50, "tanh", weights=slopes, bias_values=-slopes[0] * rng.uniform(size=50)
)
learner = Network([hidden, Dense(1)], n_in=1, random_state=0)
trainer = Trainer(
    learner, "squared_error", Adam(0.01), "one_cycle", batch_size=50, random_state=0
)
trainer.fit(x, curve(x), n_epochs=600)
error = np.abs(learner.predict(x) - curve(x)).max()
print(f"learned: largest error {error:.3f}")

try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure = plt.figure(figsize=(12, 6.4), layout="constrained")
    panels = [figure.add_subplot(2, 3, i) for i in range(1, 6)]
    tower_axes = figure.add_subplot(2, 3, 6, projection="3d")
    panels[0].plot(x, step.predict(x))
    panels[0].set_title("a step at $s = -b/w = 0.4$")
    panels[1].plot(x, bump.predict(x))
    panels[1].set_title("a bump: two steps")
    pictures = [(f"{n} bumps", network) for n, network in approximations.items()]
    pictures.append(("learned", learner))
    for axes, (title, network) in zip(panels[2:], pictures, strict=True):
        axes.plot(x, curve(x), "k--", linewidth=1, label="the curve")
        axes.plot(x, network.predict(x), label="the network")
        axes.set_title(title)
        axes.legend()
    for axes in panels:
        axes.set_xlabel("$x$")
    ticks = np.linspace(0, 1, 62)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    heights = tower.predict(plane.reshape(-1, 2)).reshape(62, 62)
    tower_axes.plot_surface(plane[..., 0], plane[..., 1], heights, cmap="viridis")
    tower_axes.set(title="a tower: four steps", xlabel="$x_1$", ylabel="$x_2$")
    figure.savefig("plot_universal_approximation.png", dpi=120)
