#!/usr/bin/env bash
# A backup of a running shop: every database at one moment, from which the shop can be restored
# without what RabbitMQ holds. Buyers notice nothing. Why that is so: services/snapshots.py.
#
#   deploy/backup.sh FOLDER              with FLINT_…_DATABASE_URL and FLINT_TOPOLOGY_AMQP_URL set
#   deploy/backup.sh --compose FOLDER    of the installation of deploy/compose.yaml
#
# FOLDER must not exist; it is complete or not there. It holds one pg_dump archive per database,
# manifest.json and SHA256SUMS, and everything that buyers typed: keep it as you keep the databases.
# SETTLE_SECONDS (65): the longest that a message can be in a service's hands. FLINT: the command.
set -euo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
. "$here/postgres-tools.sh"

[ "${1:-}" = --compose ] && { is_compose=yes; shift; }
[ $# = 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1 part=$1.partial
[ ! -e "$folder" ] || die "$folder is there already: every backup gets a folder of its own"
find_tools pg_dump
rm -rf "$part"
mkdir -p "$part"
trap 'rm -rf "$part"' EXIT

say "waiting for everything that was said to be heard (a minute or two) …"
coproc HOLD { exec_flint snapshot --settle-seconds "${SETTLE_SECONDS:-65}"; }
hold_pid=$HOLD_PID from_hold=${HOLD[0]} to_hold=${HOLD[1]}

taken_at= entries= snapshots=()
while read -r -u "$from_hold" name snapshot; do
  [ -n "$taken_at" ] || taken_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  snapshots+=("$name $snapshot")
  [ "$name" != "${databases##* }" ] || break
done
[ "${#snapshots[@]}" = 5 ] || die "there is no snapshot to copy: see the line above"

for entry in "${snapshots[@]}"; do
  read -r name snapshot <<<"$entry"
  tool pg_dump "$name" --format=custom --no-owner --no-privileges --snapshot="$snapshot" \
    </dev/null >"$part/$name.dump" || die "pg_dump of $name failed: this is no backup"
  bytes=$(wc -c <"$part/$name.dump")
  say "$name: $((bytes / 1024)) KiB"
  entries+="${entries:+,}
    {\"name\": \"$name\", \"file\": \"$name.dump\", \"bytes\": $((bytes)), \"snapshot\": \"$snapshot\"}"
done
exec {to_hold}>&- # the moment may go
wait "$hold_pid" || die "the snapshots did not last until the end: this is no backup"

printf '{\n  "format": 1,\n  "flint": "%s",\n  "taken_at": "%s",\n  "databases": [%s\n  ]\n}\n' \
  "$(exec_flint --version)" "$taken_at" "$entries" >"$part/manifest.json"
(cd "$part" && sha256sum ./*.dump manifest.json >SHA256SUMS)
sync "$part"/* 2>/dev/null || sync
mv "$part" "$folder"
say "$folder is complete"
