"""
Text, as a sparse matrix
========================

From which of SciPy's packages is a function, by the words of its description? Words
make wide matrices of which almost all is zero. Such a matrix goes into the network as
it is; it is never made dense.
"""

import importlib
import inspect

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

PACKAGES = [
    "interpolate",
    "linalg",
    "ndimage",
    "optimize",
    "signal",
    "spatial",
    "stats",
]


# %%
# The texts are at hand wherever scikit-learn is. The names of the packages are taken
# out of them.
def descriptions(package):
    """Return the docstrings of a package's functions and classes."""
    module = importlib.import_module(f"scipy.{package}")
    objects = [getattr(module, name) for name in module.__all__]
    return [
        inspect.getdoc(item)
        for item in objects
        if (inspect.isfunction(item) or inspect.isclass(item)) and inspect.getdoc(item)
    ]


texts, labels = [], []
for package in PACKAGES:
    found = descriptions(package)
    texts += found
    labels += [package] * len(found)

vectorizer = TfidfVectorizer(
    stop_words=[*PACKAGES, "scipy"],
    token_pattern=r"[a-z]{3,}",
    sublinear_tf=True,
    dtype=np.float32,
)
X = vectorizer.fit_transform(texts)
X_train, X_test, y_train, y_test = train_test_split(
    X, labels, stratify=labels, random_state=0
)
print(
    f"{X.shape[0]} texts, {X.shape[1]} words, {X.nnz / np.prod(X.shape):.1%} not zero: "
    f"{(X.data.nbytes + X.indices.nbytes) / 1e6:.1f} MB instead of "
    f"{4 * np.prod(X.shape) / 1e6:.0f}"
)

# %%
network = MLPClassifier(
    (50,),
    batch_size=32,
    learning_rate_init=0.005,
    early_stopping=True,
    validation_stratify=True,
    random_state=0,
)
network.fit(X_train, y_train)
print(f"{network.score(X_test, y_test):.1%} of {X_test.shape[0]} descriptions right")

# %%
# A network without hidden layer has a weight for each word and package. Weight times
# the word's mean value in the texts of the package is what it goes by.
linear = MLPClassifier((), learning_rate_init=0.01, random_state=0).fit(
    X_train, y_train
)
words = vectorizer.get_feature_names_out()
for package, weights in zip(linear.classes_, linear.coefs_[0].T, strict=True):
    texts_of_package = X_train[np.flatnonzero(np.equal(y_train, package))]
    says = np.asarray(texts_of_package.mean(axis=0)).ravel() * weights
    print(f"{package:12} {' '.join(words[np.argsort(says)[-6:][::-1]])}")

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    ConfusionMatrixDisplay.from_estimator(
        network,
        X_test,
        y_test,
        ax=axes,
        colorbar=False,
        xticks_rotation=45,
        cmap="Blues",
    )
    figure.savefig("plot_sparse_text.png", dpi=120)
