# syntax=docker/dockerfile:1
# The images of the platform: `training` trains and promotes, `serving` serves, `dev` is for working on the code.
#
#   docker build --target serving --tag fmnist-serving .
#   docker build --target training --tag fmnist-training --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
#
# pyproject.toml and constraints.txt say what is installed. Without TORCH_INDEX torch is the build for GPUs, gigabytes
# larger, which runs on a CPU as well.

# Ray wants one Python version on all nodes of a cluster, to the patch: both images have this one.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS python

FROM python AS installer
WORKDIR /build
COPY pyproject.toml constraints.txt ./
ARG TORCH_INDEX=""

# Dependencies are gigabytes that seldom change. The package is empty here, so a commit to it rebuilds none of them.
# TORCH_INDEX reaches pip by the environment: it may hold a password, and others can read an argument list.
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
# git: DVC reads the data registry with it. wget: the probes that KubeRay gives a Ray node call it.
# Debian keeps one version of a package at a time: the base image's digest is what is pinned.
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    rm --force /etc/apt/apt.conf.d/docker-clean \
    && apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git wget
# A login shell, as some KubeRay versions start Ray in, forgets the PATH that is set below.
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

# A checkout is mounted, and `make setup` has little left to do in an environment that belongs to who works in it.
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
# The base image's pip: the environment has none.
RUN --mount=type=bind,from=package,source=/wheels,target=/wheels \
    /usr/local/bin/pip --python /opt/fmnist/bin/python install --quiet --no-deps --no-index /wheels/*.whl
ARG DOCKER_IMAGE_TAG=""
ARG GIT_COMMIT=""
# Every run and model says by these which image and code made it.
ENV DOCKER_IMAGE_TAG=$DOCKER_IMAGE_TAG \
    GIT_COMMIT=$GIT_COMMIT
LABEL org.opencontainers.image.title="fmnist-training" \
      org.opencontainers.image.description="Trains, evaluates, registers and promotes Fashion-MNIST models." \
      org.opencontainers.image.version=$DOCKER_IMAGE_TAG \
      org.opencontainers.image.revision=$GIT_COMMIT
# By number, for Kubernetes cannot tell from a name that it is not root.
USER 1000:1000
CMD ["fmnist", "--help"]

FROM base AS serving
COPY --link --from=serving-dependencies /opt/fmnist /opt/fmnist
RUN --mount=type=bind,from=package,source=/wheels,target=/wheels \
    /usr/local/bin/pip --python /opt/fmnist/bin/python install --quiet --no-deps --no-index /wheels/*.whl
# Read by every node that runs one of Serve's proxies. On a busy node a proxy is not ready after three times 5 seconds,
# after which Serve would give it up.
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
# For Docker; on Kubernetes the manifests' probes count.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["wget", "--quiet", "--tries=1", "--output-document=/dev/null", "http://127.0.0.1:8000/health/ready"]
# Every interface of the container; what of it is published is Docker's to say.
CMD ["fmnist", "serve", "--host", "0.0.0.0", "--port", "8000"]
