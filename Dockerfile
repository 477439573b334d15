# Built by BuildKit (docker build since 23.0) or buildah (buildah build --layers --format docker). What it builds is
# proved by scripts/prove-image.

# The dependencies are compiled in a step of their own, from a recipe that only the manifests change. So a changed source
# compiles this package alone, and where layers are cached no cache mount has to outlive a build, as on hosted runners.
FROM docker.io/library/rust:1.95-bookworm AS chef
WORKDIR /build
# Unoptimised: it is built in a part of the time, and works for a second.
RUN cargo install --quiet --debug --locked --version 0.1.78 cargo-chef

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# The compilers' settings, and what Swagger UI is built without.
COPY .cargo .cargo
# The one dependency that does not come from the registry.
COPY vendor vendor
COPY --from=plan /build/recipe.json .
RUN cargo chef cook --profile dist --locked --bin user-service
COPY . .
# There is no repository here: docker build --build-arg USER_SERVICE_COMMIT=$(git rev-parse --short=12 HEAD)
ARG USER_SERVICE_COMMIT=unknown
RUN cargo build --profile dist --locked --bin user-service

# All that the image holds. SQLite, libpq and OpenSSL are inside the binary; it is linked to the C library, which resolves
# names by itself, to what unwinds its panics, and to nothing else. Not linked statically: glibc resolves names only as a
# shared library, and musl's allocator is slow for a server of many threads.
WORKDIR /image
# - The libraries, and the loader that the binary names, where it looks for them on any architecture.
# - What scanners read to know them: the system, without which they look no further, and the versions; and the licences under
#   which they are handed on.
# - Whom to believe when an issuer, a broker or a PostgreSQL shows a certificate.
# - A number for the user, so that the owner of a volume and Kubernetes' runAsUser can name it.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN install -D --target-directory=usr/local/bin /build/target/dist/user-service \
    && ldd usr/local/bin/user-service | grep --only-matching '/[^ ]*' | xargs cp --parents --dereference --target-directory=. \
    && mkdir -p var/lib/dpkg/status.d \
    && for package in ca-certificates libc6 libgcc-s1; do \
        dpkg-query --status "$package" >"var/lib/dpkg/status.d/$package" || exit 1; \
        cp --parents --dereference "/usr/share/doc/$package/copyright" . || exit 1; \
    done \
    && cp --parents --dereference /etc/os-release /etc/debian_version . \
    && cp --parents /etc/ssl/certs/ca-certificates.crt . \
    && echo 'user-service:x:10001:10001::/nonexistent:/usr/sbin/nologin' >etc/passwd \
    && echo 'user-service:x:10001:' >etc/group \
    && echo 'hosts: files dns' >etc/nsswitch.conf \
    && mkdir -p /image-volume && install --directory --mode=0750 /image-volume/data

# The load tester, for `--target loadtest`; the last stage does not need it.
FROM build AS build-loadtest
WORKDIR /build
ARG USER_SERVICE_COMMIT=unknown
RUN cargo build --release --locked --package user-service-loadtest

FROM scratch AS loadtest
COPY --from=build /image /
COPY --from=build-loadtest /build/target/release/user-service-loadtest /usr/local/bin/
USER 10001:10001
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/usr/local/bin/user-service-loadtest"]

# Nothing underneath: distroless/cc-debian12 has the same libraries, and a shell as little, but a TLS library, C++ and time
# zones besides, which are more bytes than there is room for in 30 MB.
FROM scratch
COPY --from=build /image /
COPY --from=build --chown=10001:10001 /image-volume /
USER 10001:10001
# - OpenSSL, which libpq uses, looks elsewhere.
# - SQLite sorts what is too large for memory in files, and nothing else here can be written to.
ENV SERVER_HOST=0.0.0.0 \
    SQLITE_TMPDIR=/data \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# The database, by default data/users.db, is on the volume.
WORKDIR /
VOLUME /data
EXPOSE 3000 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/user-service", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/user-service"]
