# One image for every process of Celeriac: worker, beat, Flower, and the command line. See docs/containers.md.

FROM python:3.13-slim AS build
RUN python -m venv --without-pip /opt/celeriac
WORKDIR /src
# The dependencies are a layer of their own, which a change of the code leaves alone.
COPY requirements.lock .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /opt/celeriac install --quiet --require-hashes -r requirements.lock
COPY . .
RUN python -m pip --python /opt/celeriac install --quiet --no-build-isolation --no-deps .

FROM python:3.13-slim
# A fixed number, so that the files in the volumes stay this user's from one image to the next. A new volume
# takes its owner from the folder that it is mounted on. No VOLUME line: it would leave a nameless volume
# behind every container that mounts none there.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin celeriac \
 && install -d -o celeriac -g celeriac /data \
 && install -d -o celeriac -g celeriac -m 0700 /run/celeriac
COPY --from=build /opt/celeriac /opt/celeriac
COPY --chmod=0755 containers/make-passwords containers/celeriac /usr/local/bin/
RUN ln -s celeriac /usr/local/bin/celery
WORKDIR /app
COPY jobs.yaml .
# Each line of a log is shown when it is written.
ENV CELERIAC_DATA=/data CELERIAC_JOBS=/app/jobs.yaml PYTHONUNBUFFERED=1
USER celeriac
CMD ["celeriac", "--help"]
