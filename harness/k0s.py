"""What k0s has by itself, as of v1.32.3+k0s.0: where its files are, and which ports it takes."""

from __future__ import annotations

# The host field `dataDir` of a k0sctl.yaml names another.
DATA_DIR = "/var/lib/k0s"

API_PORT = 6443
# pkg/component/controller/konnectivity.go:144-168.
AGENT_PORT = 8132
ADMIN_PORT = 8133
KUBELET_PORT = 10250
# pkg/component/controller/metricserver.go, --secure-port.
METRICS_SERVER_PORT = 10250

POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/12"
