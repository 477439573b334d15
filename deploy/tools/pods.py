"""Checks what no schema asks of a pod: that it may do no more than it must, and that its share of a node is bounded.

    python pods.py RENDERED...     files of Kubernetes' objects

Most of it is what Kubernetes calls "restricted", which our namespace enforces: there it would be refused only by a cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import yaml


def mistakes(pod: dict[str, Any], *, serves: bool) -> Iterator[str]:
    """What is wrong with a pod's specification. One that serves is asked whether it does."""
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or context.get("runAsUser", 0) < 10_000:
        yield "runs as root, or as a user that the node may have too"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "may make any system call: seccompProfile"
    if pod.get("automountServiceAccountToken") is not False or pod.get("serviceAccountName", "default") == "default":
        yield "has a token of Kubernetes, or the account that is everybody's"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares what is the node's"
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        yield "mounts a folder of the node's"
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        for mistake in mistakes_of_container(container):
            yield f"{container['name']}: {mistake}"
        if serves and not ("livenessProbe" in container and "readinessProbe" in container):
            yield f"{container['name']}: nobody asks whether it lives and is ready"


def mistakes_of_container(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may get more rights than it begins with"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "has capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write to its image"
    # For the pod they are right.
    if context.keys() & {"runAsNonRoot", "runAsUser", "seccompProfile"}:
        yield "overrides what the pod says of its user and system calls"
    resources = container.get("resources", {})
    if not all(resources.get(kind, {}).keys() >= {"cpu", "memory"} for kind in ("requests", "limits")):
        yield "takes as much of the node as it can: resources"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the node's"
    if any("secretKeyRef" in variable.get("valueFrom", {}) for variable in container.get("env", [])) or any(
        "secretRef" in source for source in container.get("envFrom", [])
    ):
        yield "has a secret in its environment"
    name = container["image"].rpartition("/")[2]
    if name.endswith(":latest") or not (":" in name or "@" in name):
        yield f"its image may be another tomorrow: {container['image']}"


def main() -> int:
    pods = failed = 0
    for file in sys.argv[1:]:
        with open(file, encoding="utf-8") as stream:
            for thing in filter(None, yaml.safe_load_all(stream)):
                pod = thing.get("spec", {}).get("template", {}).get("spec")
                if pod is None:
                    continue
                pods += 1
                for mistake in mistakes(pod, serves=thing["kind"] == "Deployment"):
                    failed += 1
                    print(f"{file}: {thing['kind']} {thing['metadata']['name']}: {mistake}", file=sys.stderr)
    if not pods:
        print(f"no pods in {sys.argv[1:]}", file=sys.stderr)
    return 1 if failed or not pods else 0


if __name__ == "__main__":
    sys.exit(main())
