#!/bin/sh
# Replaces running containers by new ones of the present image and settings, without a pause:
# beside every old container a new one starts, and only when all are healthy the old ones drain.
#
#   deploy/roll.sh [SERVICE...]      links sessions orders gateway, in this order, unless named
#
# Migrations and topology come first; both only add, so old and new code work side by side.
# The files are those of compose.yaml, or what COMPOSE_FILE says.
set -eu
cd "$(dirname "$0")"
export COMPOSE_FILE="${COMPOSE_FILE:-compose.yaml}"
[ $# -gt 0 ] || set -- links sessions orders gateway

quietly() { docker compose --progress quiet "$@"; }

drain() {
  printf '%s\n' "$1" | xargs docker stop --time 40 >/dev/null
  printf '%s\n' "$1" | xargs docker rm >/dev/null
}

drains=
quietly run --rm --no-deps migrate
quietly run --rm --no-deps topology
for service; do
  old=$(docker compose ps --quiet "$service")
  count=$(printf '%s\n' "$old" | grep -c .) || { echo "$service does not run" >&2; exit 1; }
  if ! quietly up --detach --wait --wait-timeout 120 --no-deps --no-recreate \
    --scale "$service=$((2 * count))" "$service"; then
    echo "the new $service is not healthy; the old one still serves" >&2
    new=$(docker compose ps --all --quiet "$service" | grep -vxF "$old")
    docker logs --tail 20 "$(printf '%s\n' "$new" | head -n 1)" >&2
    printf '%s\n' "$new" | xargs docker rm --force >/dev/null
    wait
    exit 1
  fi
  # All at once, and the next service meanwhile: each may take its whole drain.
  drain "$old" &
  drains="$drains $!"
  echo "$service: $count replaced"
done
for drain in $drains; do wait "$drain"; done
