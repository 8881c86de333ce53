#!/usr/bin/env bash
# Restores a backup of deploy/backup.sh into an EMPTY installation: databases without a row, no
# message in the broker, no service running. Nothing is ever replaced.
#
#   deploy/restore.sh FOLDER              with FLINT_…_DATABASE_URL and FLINT_TOPOLOGY_AMQP_URL set
#   deploy/restore.sh --compose FOLDER    into the installation of deploy/compose.yaml
#
# Afterwards start the services: what the backup held unheard is said once more, and who had heard
# it drops it. Then `flint audit`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/postgres-tools.sh"

[ "${1:-}" = --compose ] && { is_compose=yes; shift; }
[ $# = 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
[ -e "$folder/manifest.json" ] || die "$folder is no backup: manifest.json is missing"
(cd "$folder" && sha256sum --quiet --check SHA256SUMS) ||
  die "$folder is damaged: take another backup, nothing was changed"
find_tools pg_restore psql

exec_flint topology empty >/dev/null || die "the broker is not empty, or services are running"

# Tables that `flint migrate` made are no reason to refuse; a single row in any of them is.
rows="SELECT coalesce(string_agg(format('SELECT 1 FROM (SELECT 1 FROM %I LIMIT 1) AS t', relname),
  ' UNION ALL '), 'SELECT 1 WHERE false') FROM pg_class
  WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
    AND relname <> 'schema_migrations'"
for name in $databases; do
  found=$(tool psql "$name" -AtXq -v ON_ERROR_STOP=1 -c "$rows") || die "$name cannot be reached"
  [ -z "$(tool psql "$name" -AtXq -v ON_ERROR_STOP=1 -c "$found")" ] ||
    die "the database of $name is not empty: restore into a fresh one"
done

for name in $databases; do
  tool psql "$name" -AtXq -v ON_ERROR_STOP=1 \
    -c "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
  tool pg_restore "$name" --no-owner --no-privileges --exit-on-error --single-transaction \
    <"$folder/$name.dump" || die "$name could not be restored: make it empty and run this again"
  # Whoever held these to publish them is gone.
  [ "$name" = sandbox ] || tool psql "$name" -AtXq -v ON_ERROR_STOP=1 \
    -c "UPDATE outbox SET lease_until = NULL, lease_by = NULL, next_at = now()"
  say "$name: restored"
done
exec_flint migrate >&2 # a backup of an older release is brought up to date
say "start the services, then run \`flint audit\`"
