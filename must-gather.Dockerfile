# oc adm must-gather starts /usr/bin/gather, and fetches the result with a second container of this image, which takes a shell and tar. The
# operator's own image has neither.
ARG OPERATOR
FROM ${OPERATOR} AS operator

FROM registry.access.redhat.com/ubi9/ubi:9.6
LABEL org.opencontainers.image.title="Open Data Hub must-gather" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=operator /opendatahub /usr/bin/gather
ENTRYPOINT ["/usr/bin/gather"]
