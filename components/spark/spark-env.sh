# Java does not read AWS_CA_BUNDLE. Each process of Spark has what is in it, besides what Java trusts itself, and so have executors.
truststore=/tmp/opendatahub-truststore
if [ -r "${AWS_CA_BUNDLE:-}" ]; then
  if [ ! "$truststore" -nt "$AWS_CA_BUNDLE" ]; then
    making=$(mktemp -d)
    java_home=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")}
    cat "$java_home/lib/security/cacerts" >"$making/store"
    awk -v folder="$making" '/BEGIN CERTIFICATE/ {n++} n {print > (folder "/" n ".pem")}' "$AWS_CA_BUNDLE"
    for certificate in "$making"/*.pem; do
      "$java_home/bin/keytool" -importcert -noprompt -keystore "$making/store" -storepass changeit \
        -alias "opendatahub-$(basename "$certificate")" -file "$certificate" >"$making/said" 2>&1 || cat "$making/said" >&2
    done
    mv "$making/store" "$truststore"
    rm -r "$making"
  fi
  SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:-} -Djavax.net.ssl.trustStore=$truststore -Dspark.executor.defaultJavaOptions=-Djavax.net.ssl.trustStore=$truststore"
fi
