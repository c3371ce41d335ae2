# Scripts of Spark read this before they start a process.
defaults=${SPARK_CONF_DIR:-}/spark-defaults.conf
java_home=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")}
trust=

# Java does not read AWS_CA_BUNDLE. Each process of Spark has what is in it, besides what Java trusts itself, and so have executors.
if [ -r "${AWS_CA_BUNDLE:-}" ]; then
  truststore=/tmp/opendatahub-truststore
  if [ ! "$truststore" -nt "$AWS_CA_BUNDLE" ]; then
    making=$(mktemp -d)
    cat "$java_home/lib/security/cacerts" >"$making/store"
    awk -v folder="$making" '/BEGIN CERTIFICATE/ {n++} n {print > (folder "/" n ".pem")}' "$AWS_CA_BUNDLE"
    for certificate in "$making"/*.pem; do
      "$java_home/bin/keytool" -importcert -noprompt -keystore "$making/store" -storepass changeit \
        -alias "opendatahub-$(basename "$certificate")" -file "$certificate" >"$making/said" 2>&1 || cat "$making/said" >&2
    done
    mv "$making/store" "$truststore"
    rm -r "$making"
  fi
  trust=-Djavax.net.ssl.trustStore=$truststore
  SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:-} $trust -Dspark.executor.defaultJavaOptions=$trust"
fi

# Sessions leave an event log where it can be written: once it is asked for, Spark starts no session without it, and does not make its
# folder. It is tried once in each Pod, and needs Hadoop's module for S3, which not every image has.
events=$(awk '$1 == "spark.eventLog.dir" {print $2}' "$defaults" 2>/dev/null)
if [ -n "$events" ] && ls "$SPARK_HOME"/jars/*.jar ${SPARK_DIST_CLASSPATH:-} 2>/dev/null | grep -q '/hadoop-aws-[^/]*$'; then
  written=/tmp/opendatahub-event-logs
  if [ ! -e "$written" ]; then
    patience=${OPENDATAHUB_EVENT_LOG_SECONDS:-60}
    timeout "$patience" "$java_home/bin/java" $trust -cp "$SPARK_CONF_DIR:$SPARK_HOME/jars/*:${SPARK_DIST_CLASSPATH:-}" \
      org.apache.hadoop.fs.FsShell -Dfs.s3a.attempts.maximum=2 -Dfs.s3a.retry.limit=1 -mkdir -p "$events" \
      >"$written.said" 2>&1
    case $? in
      0) touch "$written" ;;
      124) echo "mkdir: no answer within $patience seconds" >>"$written.said" ;;
    esac
  fi
  if [ -e "$written" ]; then
    SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:-} -Dspark.eventLog.enabled=true"
  else
    echo "This session leaves no event log, because $events cannot be written: $(grep '^mkdir: ' "$written.said" || tail -n 1 "$written.said")" >&2
  fi
fi
unset defaults java_home trust truststore making certificate events written patience
