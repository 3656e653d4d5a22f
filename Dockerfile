# Airbyte's Python base image; any Python 3.10 to 3.13 with glibc does: --build-arg BASE=python:3.11-slim
ARG BASE=docker.io/airbyte/python-connector-base:4.0.2@sha256:9fdb1888c4264cf6fee473649ecb593f56f58e5d0096a87ee0b231777e2e3e73

FROM ${BASE} AS build
USER root
WORKDIR /build
COPY requirements.lock ./
# uv at the version and hash of the lock; it installs the rest, no other version than the lock's
RUN python -m venv /venv \
    && awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > uv.txt \
    && pip install --no-cache-dir --quiet --require-hashes --target /uv -r uv.txt
COPY pyproject.toml README.md LICENSE ./
COPY destination_milvus ./destination_milvus
COPY source_zendesk_stub ./source_zendesk_stub
COPY support_form ./support_form
RUN PYTHONPATH=/uv python -m uv pip install --quiet --no-cache --compile-bytecode --python /venv/bin/python \
    --constraint requirements.lock '.[local]'

FROM ${BASE}
USER root
COPY --from=build /venv /venv
WORKDIR /airbyte/integration_code
COPY main.py metadata.yaml ./
ENV PATH=/venv/bin:$PATH \
    AIRBYTE_ENTRYPOINT="python /airbyte/integration_code/main.py"
LABEL io.airbyte.version=0.1.0 \
      io.airbyte.name=destination-milvus/destination-milvus
USER 1000
ENTRYPOINT ["python", "/airbyte/integration_code/main.py"]
