# The image of every role: `docker run irsa webhook …`. Nothing of it needs root, a shell or a writable root file system.
ARG PYTHON_IMAGE=python:3.13.9-slim-trixie
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# Exact versions, each checked against its hash; no resolver runs, nothing is compiled, no development package comes in.
COPY .locks/build.txt .locks/run.txt ./
RUN python -m venv backend \
 && backend/bin/python -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r build.txt \
 && python -m venv /opt/irsa \
 && /opt/irsa/bin/python -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r run.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY oidc oidc
COPY manifests manifests
RUN backend/bin/python -m hatchling build -t wheel \
 && /opt/irsa/bin/python -m pip install --no-cache-dir --no-deps dist/*.whl \
 && /opt/irsa/bin/python -m compileall -q /opt/irsa/lib \
 && /opt/irsa/bin/python -m pip uninstall --quiet --yes pip

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/irsa /opt/irsa
ENV PATH=/opt/irsa/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
ENTRYPOINT ["/opt/irsa/bin/irsa"]
