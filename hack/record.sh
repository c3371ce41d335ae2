#!/usr/bin/env bash
# record.sh runs the commands of docs/first-hour.md on a local cluster, as somebody does who reads it, and writes what a terminal shows to
# docs/first-hour.txt. Commands that fail are recorded with their exit code, because some have to. Passwords are replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp) shown=$(mktemp) operator=
stop() { # Ctrl-C in the first terminal
  [ -n "$operator" ] || return 0
  kill -TERM -- "-$operator" 2>/dev/null || true
  wait "$operator" 2>/dev/null || true
  operator=
}
trap 'stop; rm -f "$log" "$shown"; go run ./hack/cluster down --name first >/dev/null 2>&1 || true' EXIT

record() {
  local command=$1 code=0
  printf '$ %s\n' "${command//$'\n'/$'\n'> }"
  case "$command" in
  "make run"*)
    stop
    setsid bash -c "$command" >"$log" 2>&1 &
    operator=$!
    until grep -q 'The cluster stays until' "$log"; do
      kill -0 "$operator" 2>/dev/null || { cat "$log" >&2; return 1; }
      sleep 1
    done
    cat "$log"
    ;;
  "make cluster-down"*)
    stop
    eval "$command" 2>&1 || code=$?
    ;;
  *) eval "$command" 2>&1 || code=$? ;;
  esac
  [ "$code" = 0 ] || printf '(exit code %d)\n' "$code"
  printf '\n'
}

make build >/dev/null
rm -f .local/research.yaml
while IFS= read -r command <&3; do
  if [[ $command == *"<<'END'" ]]; then
    while IFS= read -r line <&3; do
      command+=$'\n'$line
      [ "$line" != END ] || break
    done
  fi
  record "$command" >>"$shown" </dev/null
done 3< <(awk '/^```sh$/ { block = 1; next } /^```$/ { block = 0 } block && NF' docs/first-hour.md)
sed -E -e "s|$PWD|~/opendatahub|g" -e "s|$HOME|~|g" -e 's/([Pp]assword: *)[^ ]+/\1.../' -e 's/ *$//' "$shown" >docs/first-hour.txt
