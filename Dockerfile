# Needs BuildKit (docker build since 23.0) or buildah, for the cache mounts.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# There is no repository here: docker build --build-arg USER_SERVICE_COMMIT=$(git rev-parse --short=12 HEAD)
ARG USER_SERVICE_COMMIT=unknown
# The caches keep the compiled dependencies between builds, so that a changed source compiles this package alone.
# Caches are not part of the image: hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --bin user-service \
    && cp target/release/user-service /usr/local/bin/

# The Debian release of the build image, for the same libc. SQLite, libpq and OpenSSL are inside the binary.
FROM debian:bookworm-slim
# A fixed number, so that the owner of a mounted volume and Kubernetes' runAsUser can name it.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin user-service \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /usr/local/bin/user-service /usr/local/bin/
# Whom to believe when keys are fetched from an issuer.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 10001:10001
ENV DATABASE_URL=sqlite:///data/users.db \
    SERVER_HOST=0.0.0.0
VOLUME /data
EXPOSE 3000 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["user-service", "healthcheck"]
ENTRYPOINT ["user-service"]
