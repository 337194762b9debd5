"""The platform's pipeline on one machine. `make pipeline` runs the commands of `deploy/base/steps.yaml` in order."""
