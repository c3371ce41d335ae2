#!/usr/bin/env bash
# record.sh runs the commands of docs/first-hour.md in a new clone, as somebody does who reads it, and writes what a terminal shows to
# docs/first-hour.txt. Commands that fail are recorded with their exit code, because some have to. Passwords are replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -z "$(git status --porcelain -- . ':!docs/first-hour.txt')" ] || { echo "Commit first: what is recorded is a clone of what is committed." >&2; exit 1; }
git cat-file -e "$(cat test/upgrade/previous.txt)^{commit}" || { echo "This is a shallow clone, without the version before: git fetch --unshallow gets it." >&2; exit 1; }

result=$PWD/docs/first-hour.txt
work=$(mktemp -d)
shown=$work/shown
terminals=() # processes that stay until Ctrl-C, each in a process group of its own
stop() {
  for terminal in "${terminals[@]}"; do
    kill -TERM -- "-$terminal" 2>/dev/null || true
    wait "$terminal" 2>/dev/null || true
    while kill -0 -- "-$terminal" 2>/dev/null; do sleep 0.2; done # make and go end before what they started
  done
  terminals=()
}
trap 'stop; [ ! -e "$work/opendatahub" ] || make -C "$work/opendatahub" cluster-down NAME=first >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

# stays runs a command that stays, until a condition holds, and prints what it has printed until then.
stays() {
  local command=$1 condition=$2 log=$work/log.${#terminals[@]}
  setsid bash -c "$command" >"$log" 2>&1 &
  local process=$!
  terminals+=("$process")
  until eval "$condition" >/dev/null 2>&1; do
    kill -0 "$process" 2>/dev/null || { cat "$log" >&2; return 1; }
    sleep 1
  done
  cat "$log"
}

# collected waits until the garbage collector of the cluster knows Strimzi's kinds, which it looks for every 30 s: a reader takes longer to get to
# where the platform is deleted.
collected() {
  kubectl apply -n default -f - <<<'{"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaUser", "metadata": {"name": "recording"}, "spec": {}}'
  kubectl create configmap recording -n default
  kubectl patch configmap recording -n default --type=merge -p '{"metadata": {"ownerReferences": [{"apiVersion": "kafka.strimzi.io/v1",
    "kind": "KafkaUser", "name": "recording", "uid": "'"$(kubectl get kafkauser recording -n default -o jsonpath='{.metadata.uid}')"'"}]}}'
  kubectl delete kafkauser recording -n default
  kubectl wait configmap/recording -n default --for=delete --timeout=2m
}

record() {
  local command=$1 code=0
  printf '$ %s\n' "${command//$'\n'/$'\n'> }"
  case "$command" in
  "make run"*) stays "$command" "grep -q 'The cluster stays until' \$log" ;;
  "bin/opendatahub portal"*) stays "$command" "grep -q Serving \$log" ;;
  *)
    case "$command" in
    "make cluster-down"* | "git switch"*) stop ;;
    "kubectl delete odh"*) collected >&2 ;;
    esac
    eval "$command" 2>&1 || code=$?
    ;;
  esac
  [ "$code" = 0 ] || printf '(exit code %d)\n' "$code"
  printf '\n'
}

git clone --quiet . "$work/opendatahub"
cd "$work/opendatahub"
git switch --quiet --force-create main
while IFS= read -r command <&3; do
  if [[ $command == *"<<'END'" ]]; then
    while IFS= read -r line <&3; do
      command+=$'\n'$line
      [ "$line" != END ] || break
    done
  fi
  record "$command" >>"$shown" </dev/null
done 3< <(awk '/^```sh$/ { block = 1; next } /^```$/ { block = 0 } block && NF' docs/first-hour.md)
sed -E -e "s|$PWD|~/opendatahub|g" -e "s|$HOME|~|g" -e 's/([Pp]assword: *)[^ ]+/\1.../' -e 's/[[:space:]]+$//' "$shown" >"$result"
