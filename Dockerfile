# One build, one filesystem, one image a program: they differ in the entry point only, which is
# upstream's path, so that a manifest that carries nothing but `args` keeps working.

FROM rust:1.95-bookworm AS build
# cargo's profile; `quick` builds in a tenth of the time.
ARG PROFILE=release
WORKDIR /src
COPY . .
# cargo goes by times, and what the cached folder holds may be of another checkout: all of ours is
# newer.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --profile "$PROFILE" --locked --workspace --bin prow \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile small --locked \
        --package entrypoint --target x86_64-unknown-linux-gnu \
    && mkdir /out \
    && cp "target/$PROFILE/prow" /out/prow \
    && cp target/x86_64-unknown-linux-gnu/small/entrypoint /out/entrypoint

FROM debian:bookworm-slim AS prow
# The user has a name, or ssh would refuse it.
RUN apt-get update -qq \
    && apt-get install -qq --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin nonroot \
    && mkdir /ko-app \
    # hook's database, where a manifest mounts no volume: it goes with the container.
    && install --directory --owner=65532 --group=65532 /var/lib/hook \
    && for program in hook prow-controller-manager crier horologium deck sinker clonerefs initupload sidecar; do \
        ln -s /usr/local/bin/prow "/ko-app/$program"; \
    done
COPY --from=build /out/prow /usr/local/bin/prow
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/prow"]

FROM prow AS hook
ENTRYPOINT ["/ko-app/hook"]

FROM prow AS prow-controller-manager
ENTRYPOINT ["/ko-app/prow-controller-manager"]

FROM prow AS crier
ENTRYPOINT ["/ko-app/crier"]

FROM prow AS horologium
ENTRYPOINT ["/ko-app/horologium"]

FROM prow AS deck
ENTRYPOINT ["/ko-app/deck"]

FROM prow AS sinker
ENTRYPOINT ["/ko-app/sinker"]

# Jobs run as any user: what runs beside them reads all they leave, and git and ssh find a home.
FROM prow AS utility
USER 0:0
ENV HOME=/tmp

FROM utility AS clonerefs
ENTRYPOINT ["/ko-app/clonerefs"]

FROM utility AS initupload
ENTRYPOINT ["/ko-app/initupload"]

FROM utility AS sidecar
ENTRYPOINT ["/ko-app/sidecar"]

# Copied into any image a job names, so it brings nothing and needs nothing.
FROM scratch AS entrypoint
COPY --from=build /out/entrypoint /ko-app/entrypoint
ENTRYPOINT ["/ko-app/entrypoint"]
