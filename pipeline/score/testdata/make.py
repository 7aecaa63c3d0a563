"""Makes the models and scores that golden_test.go compares with.

  python make.py            # needs lightgbm, xgboost and numpy; writes next to itself

Rows are made by splitmix64, the same in Go: 9 inputs, of which some values are missing, some zero, and the last is a category.
"""
import json
import os

import lightgbm
import numpy as np
import xgboost

here = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1


def mix(z):
    z = (z * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def cell(row, column):
    z = mix(row * 16 + column + 1)
    u = (z >> 11) / (1 << 53)
    kind = z & 15
    if column == 8:
        return float(z % 12)
    if kind == 0:
        return float("nan")
    if kind == 1:
        return 0.0
    return u * 10 - 3 if column % 2 else u


def table(begin, rows):
    return np.array([[cell(r, c) for c in range(9)] for r in range(begin, begin + rows)])


def write(name, scores):
    np.asarray(scores, dtype="<f8").tofile(os.path.join(here, name))


test, train = table(0, 10_000), table(1_000_000, 5_000)
clean = np.nan_to_num(train, nan=0.3)
truth = clean[:, 0] * 3 + clean[:, 1] - clean[:, 2] * clean[:, 3] + (clean[:, 8] % 3 == 1) * 2 + (np.isnan(train[:, 4]) * 1.5)
labels = (truth > np.median(truth)).astype(int)
names = ["in%d" % i for i in range(9)]

for name, extra in {"nan": {}, "zero": {"zero_as_missing": True}, "none": {"use_missing": False}}.items():
    params = {"objective": "binary", "num_leaves": 12, "verbose": -1, "num_threads": 1, "deterministic": True, "seed": 1, **extra}
    data = lightgbm.Dataset(train, labels, feature_name=names, categorical_feature=["in8"])
    booster = lightgbm.train(params, data, 15)
    booster.save_model(os.path.join(here, "lightgbm_%s.txt" % name))
    if name == "nan":
        with open(os.path.join(here, "lightgbm_nan.json"), "w") as f:
            json.dump(booster.dump_model(), f, separators=(",", ":"))
    write("lightgbm_%s.scores" % name, booster.predict(test)[: 10_000 if name == "nan" else 500])

data = lightgbm.Dataset(train[:, :8], np.abs(truth) + 0.1)
booster = lightgbm.train({"objective": "poisson", "num_leaves": 6, "verbose": -1, "num_threads": 1, "seed": 1}, data, 5)
booster.save_model(os.path.join(here, "lightgbm_poisson.txt"))
write("lightgbm_poisson.scores", booster.predict(test[:500, :8]))

matrix = xgboost.DMatrix(train, labels, feature_names=names)
booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": 1}, matrix, 12)
booster.save_model(os.path.join(here, "xgboost.json"))
base = json.load(open(os.path.join(here, "xgboost.json")))["learner"]["learner_model_param"]["base_score"]
dump = [json.loads(t) for t in booster.get_dump(dump_format="json")]
with open(os.path.join(here, "xgboost_dump.json"), "w") as f:
    json.dump({"objective": "binary:logistic", "base_score": float(base.strip("[]")), "feature_names": names, "trees": dump}, f, separators=(",", ":"))
write("xgboost.scores", booster.predict(xgboost.DMatrix(test[:1000], feature_names=names)))
