# One image for the night, Airflow and MLflow: jars and byte code inside, nothing fetched at run time.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv default-jre-headless libgomp1 make ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/cpc
COPY . .
RUN make setup LOCK=requirements.lock

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 default-jre-headless libgomp1 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 cpc && mkdir -p /data && chown cpc /data
COPY --from=build /opt/cpc /opt/cpc
WORKDIR /opt/cpc
ENV PATH=/opt/cpc/.venv/bin:$PATH CPC_HOME=/data AIRFLOW_HOME=/data/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/cpc/dags AIRFLOW__CORE__LOAD_EXAMPLES=False NUMBA_CACHE_DIR=/data/numba
USER cpc
VOLUME /data
ENTRYPOINT ["cpc"]
CMD ["--help"]
