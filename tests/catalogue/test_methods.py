"""Every method of the catalogue passes the catalogue's public checks."""

import pytest

from soft_students.methods import available
from soft_students.testing import METHOD_CHECKS, MethodCase

# What may be expected of each; a method that joins the catalogue must find its case here.
SETTINGS = {
    "at": {"zero_when_equal": True},
    "ab": {},
    "cc": {"zero_when_equal": True},
    "crd": {"order_matters": True, "parameters": {"n_negatives": 8, "size": 16}},
    "dist": {"zero_when_equal": True},
    "dkd": {"zero_when_equal": True, "parameters": {"warmup": 0.0}},
    "fitnet": {"zero_when_equal": True},
    "fsp": {"teacher": "equal", "zero_when_equal": True},
    "ft": {},
    "nst": {"zero_when_equal": True},
    "pkt": {"zero_when_equal": True},
    "rkd": {"zero_when_equal": True},
    "sp": {"zero_when_equal": True},
    "bss": {"order_matters": True},
    "byot": {},
    "cgan": {},
    "cskd": {"order_matters": True},
    "dafl": {"parameters": {"steps": 2, "noise": 8, "width": 4}},
    "ddgsd": {"order_matters": True},
    "dml": {},
    "grafting": {"order_matters": True},
    "kd": {"zero_when_equal": True},
    "logit_std": {"zero_when_equal": True},
    "ttm": {},
    "vid": {},
    "wttm": {},
}


def case(key):
    settings = dict(SETTINGS[key])
    return MethodCase(available()[key](**settings.pop("parameters", {})), **settings)


def test_every_method_is_checked():
    assert set(SETTINGS) == set(available())


@pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_method(key, check):
    check(case(key))


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_what_a_method_says_of_itself(key):
    method = available()[key]
    assert method.key == key
    assert method.title
    assert method.paper.year > 2000
    assert method.paper.link
    known = {"teacher", "network", "labels", "data", "images", "distortions"}
    assert method.needs <= known
    assert "network" not in method.needs or "teacher" in method.needs
    for name in method().get_params(deep=False):
        assert f"{name}" in method.__doc__, f"{name} is not documented"
