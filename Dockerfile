# The builder runs on the machine's own platform and compiles for the target's.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=0.1.0
ENV GOCACHE=/cache/build GOMODCACHE=/cache/modules
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache go mod download
COPY . .
RUN --mount=type=cache,target=/cache \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=v$VERSION" -o /opendatahub .

# No shell, no package manager: certificates, time zones and the binary.
FROM gcr.io/distroless/static:nonroot
LABEL org.opencontainers.image.title="Open Data Hub operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /opendatahub /opendatahub
USER 65532:65532
ENTRYPOINT ["/opendatahub"]
