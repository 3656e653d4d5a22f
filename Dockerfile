# Airbyte's base image for connectors in Python. Any with glibc and Python 3.10 to 3.13 does, such as python:3.11-slim:
# --build-arg BASE_IMAGE=...
ARG BASE_IMAGE=docker.io/airbyte/python-connector-base:4.0.2@sha256:9fdb1888c4264cf6fee473649ecb593f56f58e5d0096a87ee0b231777e2e3e73

FROM ${BASE_IMAGE} AS build
# What the connector brings besides: `local` is the embedding model, `lite` is Milvus Lite. --build-arg EXTRAS=lite,local
ARG EXTRAS=local
USER root
WORKDIR /build
COPY requirements.lock ./
# uv at the version and hash of the lock; it makes an environment without pip
RUN awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > uv.txt \
    && python3 -m pip install --no-cache-dir --quiet --require-hashes --target /uv -r uv.txt \
    && /uv/bin/uv venv --quiet --python python3 /venv
COPY pyproject.toml README.md LICENSE ./
COPY destination_milvus ./destination_milvus
# No other versions than the lock's, for the build of the package too. Bytecode: the container's user cannot keep any, and
# would compile at each start. Out goes what nothing here uses: the libraries' own tests, the program beside the library
# html_to_markdown, and of Arrow, which Milvus Lite brings, the C++ headers, Flight and S3.
RUN /uv/bin/uv pip install --quiet --no-cache --compile-bytecode --python /venv/bin/python \
      --constraint requirements.lock --build-constraint requirements.lock ".[${EXTRAS}]" \
    && find /venv -depth -type d -path '*/site-packages/*' -name tests -exec rm -rf '{}' + \
    && cd /venv/lib/python3.*/site-packages \
    && rm -rf html_to_markdown/bin pyarrow/include pyarrow/*flight* pyarrow/*_s3*

FROM ${BASE_IMAGE}
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
