# syntax=docker/dockerfile:1
# Two stages: wheels and the package are installed in the first, the second has only what runs.
# Run it read-only, with a volume for state:
#   docker run --read-only --cap-drop ALL -p 8080:8080 \
#     -v ./gauger:/etc/gauger:ro -v gauger-state:/var/lib/gauger -e OPENAI_API_KEY gauger
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/gauger
COPY requirements.lock ./
RUN /opt/gauger/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY proxy ./proxy
COPY policies/examples ./policies/examples
RUN /opt/gauger/bin/pip install --no-deps . \
    && /opt/gauger/bin/pip uninstall --yes pip

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/gauger --create-home gauger
COPY --from=build /opt/gauger /opt/gauger
ENV PATH=/opt/gauger/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GAUGER_CONFIG=/etc/gauger/gauger.yaml \
    GAUGER_STATE_DIR=/var/lib/gauger \
    GAUGER_SERVER__LISTEN=0.0.0.0:8080
USER 10001
VOLUME /var/lib/gauger
EXPOSE 8080
# SIGTERM drains: streams finish until server.drain_s, then the log is closed.
STOPSIGNAL SIGTERM
# Loopback inside the container; set GAUGER_ADMIN__LISTEN to probe it from outside.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["gauger", "health"]
ENTRYPOINT ["gauger"]
CMD ["serve"]
