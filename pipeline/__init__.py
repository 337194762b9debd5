"""The platform's pipeline on one machine: what `make pipeline` runs. It takes the part of Argo Workflows and KubeRay.

What the steps are, and in which order, is read from `deploy/`, as kustomize renders it; nothing of it is written here.
"""
