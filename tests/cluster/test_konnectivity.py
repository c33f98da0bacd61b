"""Issue 5781 on a real cluster: what konnectivity decides."""

import json

import pytest

ON = pytest.param("True", "worker0", marks=pytest.mark.k0s(scenario="konnectivity-on"))
OFF = pytest.param(
    "False", "Metrics API not available", marks=pytest.mark.k0s(scenario="konnectivity-off")
)


@pytest.mark.parametrize(("available", "top_says"), [ON, OFF], ids=["on", "off"])
def test_konnectivity_decides_over_the_metrics_api(kubectl, available, top_says):
    apiservice = json.loads(kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "-o", "json"))
    (condition,) = apiservice["status"]["conditions"]
    assert condition["status"] == available

    top = kubectl.run(["top", "nodes"], check=False)
    assert top_says in top.stdout + top.stderr
