# syntax=docker/dockerfile:1
# The images: `training` trains and promotes, `serving` serves, and `dev` is for work on the code.
#
#   docker build --target serving --tag fmnist-serving .
#   docker build --target training --tag fmnist-training --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
#
# pyproject.toml and constraints.txt define the packages. Without TORCH_INDEX, torch is the build for GPUs. It is
# gigabytes larger, and runs on a CPU too.

# Ray needs exactly the same Python version on all nodes of a cluster, so all images share this base.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS python

FROM python AS installer
WORKDIR /build
COPY pyproject.toml constraints.txt ./
ARG TORCH_INDEX=""

# Dependencies are gigabytes and seldom change. The package is an empty stub here, so that a commit does not rebuild
# them. TORCH_INDEX is passed to pip in the environment: it may hold a password, and others can read arguments.
FROM installer AS stub
RUN mkdir --parents src/fmnist && touch README.md LICENSE && echo '__version__ = "0"' > src/fmnist/__init__.py

FROM stub AS training-dependencies
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/fmnist \
    && export PIP_EXTRA_INDEX_URL="$TORCH_INDEX" PIP_PYTHON=/opt/fmnist/bin/python \
    && pip install --quiet --constraint constraints.txt '.[train]' \
    && pip uninstall --quiet --yes fmnist

FROM stub AS serving-dependencies
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/fmnist \
    && export PIP_EXTRA_INDEX_URL="$TORCH_INDEX" PIP_PYTHON=/opt/fmnist/bin/python \
    && pip install --quiet --constraint constraints.txt '.[serve]' \
    && pip uninstall --quiet --yes fmnist

FROM stub AS dev-dependencies
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /home/ray/venv \
    && export PIP_EXTRA_INDEX_URL="$TORCH_INDEX" PIP_PYTHON=/home/ray/venv/bin/python \
    && pip install --quiet --constraint constraints.txt '.[dev]' \
    && pip uninstall --quiet --yes fmnist

FROM installer AS package
COPY README.md LICENSE ./
COPY src ./src
RUN --mount=type=cache,target=/root/.cache/pip pip wheel --quiet --no-deps --wheel-dir /wheels .

FROM python AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# DVC needs git to read the data registry. KubeRay's probes of a Ray node need wget.
# Debian keeps only one version of a package, so versions cannot be pinned here. The base image's digest is pinned.
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    rm --force /etc/apt/apt.conf.d/docker-clean \
    && apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git wget
# Some KubeRay versions start Ray in a login shell, which resets the PATH that is set below.
RUN groupadd --gid 1000 ray \
    && useradd --uid 1000 --gid ray --create-home --shell /bin/bash ray \
    && install --directory --owner=ray --group=ray /home/ray/.fmnist \
    && echo "PATH=/opt/fmnist/bin:\$PATH" > /etc/profile.d/fmnist.sh
ENV PATH=/opt/fmnist/bin:$PATH \
    FMNIST_HOME=/home/ray/.fmnist \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /home/ray
LABEL org.opencontainers.image.licenses="Apache-2.0"

# For a mounted checkout. Dependencies are installed already, and the user owns the environment, so `make setup` is quick.
FROM base AS dev
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install --yes --no-install-recommends less make openssh-client
COPY --from=dev-dependencies --chown=1000:1000 /home/ray/venv /home/ray/venv
ENV VENV=/home/ray/venv \
    PATH=/home/ray/venv/bin:$PATH
LABEL org.opencontainers.image.title="fmnist-dev" \
      org.opencontainers.image.description="For working on fmnist: every dependency, make and git."
USER 1000:1000
CMD ["bash"]

FROM base AS training
COPY --link --from=training-dependencies /opt/fmnist /opt/fmnist
# The environment has no pip of its own, so the base image's installs into it.
RUN --mount=type=bind,from=package,source=/wheels,target=/wheels \
    /usr/local/bin/pip --python /opt/fmnist/bin/python install --quiet --no-deps --no-index /wheels/*.whl
ARG DOCKER_IMAGE_TAG=""
ARG GIT_COMMIT=""
# Every run and model records these two.
ENV DOCKER_IMAGE_TAG=$DOCKER_IMAGE_TAG \
    GIT_COMMIT=$GIT_COMMIT
LABEL org.opencontainers.image.title="fmnist-training" \
      org.opencontainers.image.description="Trains, evaluates, registers and promotes Fashion-MNIST models." \
      org.opencontainers.image.version=$DOCKER_IMAGE_TAG \
      org.opencontainers.image.revision=$GIT_COMMIT
# By number: Kubernetes cannot tell from a name that the user is not root.
USER 1000:1000
CMD ["fmnist", "--help"]

FROM base AS serving
COPY --link --from=serving-dependencies /opt/fmnist /opt/fmnist
RUN --mount=type=bind,from=package,source=/wheels,target=/wheels \
    /usr/local/bin/pip --python /opt/fmnist/bin/python install --quiet --no-deps --no-index /wheels/*.whl
# For every node that runs a proxy of Serve. Serve gives a proxy up after three checks of 5 seconds by default, which is
# too short on a busy node.
ENV RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=fmnist.apps.serve:proxy_middleware \
    RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S=60
ARG DOCKER_IMAGE_TAG=""
ARG GIT_COMMIT=""
ENV DOCKER_IMAGE_TAG=$DOCKER_IMAGE_TAG \
    GIT_COMMIT=$GIT_COMMIT
LABEL org.opencontainers.image.title="fmnist-serving" \
      org.opencontainers.image.description="Serves registered Fashion-MNIST models over HTTP; no torch in it." \
      org.opencontainers.image.version=$DOCKER_IMAGE_TAG \
      org.opencontainers.image.revision=$GIT_COMMIT
USER 1000:1000
EXPOSE 8000
# For Docker. Kubernetes uses the probes of the manifests.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["wget", "--quiet", "--tries=1", "--output-document=/dev/null", "http://127.0.0.1:8000/health/ready"]
# Listens on all interfaces of the container. Docker decides which ports are published.
CMD ["fmnist", "serve", "--host", "0.0.0.0", "--port", "8000"]
