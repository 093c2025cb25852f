# One image for CPU and GPU: torch finds the GPU where the container is given one (--gpus all).
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python -m venv .venv
COPY requirements*.txt requirements.lock constraints.txt ./
# Everything by its hash; then torch, whose build and index depend on the machine, by its version.
RUN .venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
    -r requirements.lock \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check \
    -r requirements.txt -c constraints.txt
# What else this image can do: --build-arg EXTRAS="s3 ray"
ARG EXTRAS=""
RUN for extra in $EXTRAS; do .venv/bin/pip install --no-cache-dir --disable-pip-version-check \
    -r "requirements-$extra.txt" -c constraints.txt || exit 1; done
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY ingest ingest
COPY service service
COPY data/models data/models
RUN .venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --editable .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 lookalike && useradd --uid 10001 --gid 10001 --no-create-home lookalike \
    && install -d -o lookalike -g lookalike /data /data/images /data/store /cache /keys
WORKDIR /app
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/cache \
    TORCH_HOME=/cache/torch \
    LOOKALIKE_IMAGE_DIR=/data/images \
    LOOKALIKE_STORE_DIR=/data/store \
    LOOKALIKE_HOST=0.0.0.0 \
    LOOKALIKE_PORT=8000 \
    LOOKALIKE_LOG_FORMAT=json
USER lookalike
VOLUME ["/data/store", "/cache"]
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s CMD \
    ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['LOOKALIKE_PORT'] + '/health/ready', timeout=4)"]
CMD ["lookalike", "serve"]
