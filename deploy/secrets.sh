#!/bin/sh
# Makes every secret of a Flint installation, once, and from them one folder per container that is
# mounted as its /run/secrets: nobody is shown another's.
#
#   deploy/secrets.sh [FOLDER]      FOLDER: deploy/secrets; safe to repeat, nothing is replaced
#   deploy/secrets.sh --rotate NAME [FOLDER]      a new value for one of them (see deploy/README.md)
#   deploy/secrets.sh --forget secret_key_previous [FOLDER]      the end of the signing key's rotation
#
# BROKER_HOSTS and DATABASE_HOST (rabbitmq, postgres) are the hosts in the addresses: several
# broker hosts are written with commas. Changing them and repeating rewrites the addresses alone.
set -eu
umask 077

rotate= forget=
if [ "${1:-}" = --rotate ]; then
  rotate=${2:?which one? The names are the files in deploy/secrets/values}
  shift 2
elif [ "${1:-}" = --forget ]; then
  forget=secret_key_previous
  [ "${2:-}" = "$forget" ] || { echo "only $forget can be forgotten" >&2; exit 1; }
  shift 2
fi
folder=${1:-$(dirname "$0")/secrets}
values=$folder/values
broker=${BROKER_HOSTS:-rabbitmq}
database=${DATABASE_HOST:-postgres}
services="links sessions orders gateway"
databases="$services sandbox"

random() { od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# write FILE: what comes in, whole or not at all, and untouched if it is the same
write() {
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

value() {
  [ -s "$values/$1" ] || random | write "$values/$1"
  cat "$values/$1"
}

# give CONTAINER FILE TEXT: readable in that container, whatever its user; the folder above is shut
give() {
  mkdir -p "$folder/$1"
  chmod 755 "$folder/$1"
  printf '%s\n' "$3" | write "$folder/$1/$2"
  chmod 444 "$folder/$1/$2"
}

database_url() { echo "postgresql://flint_$1:$(value "database_$1")@$database/flint_$1"; }
amqp_url() { echo "amqp://flint-$1:$(value "broker_$1")@$broker/flint"; }

mkdir -p "$values"
chmod 700 "$folder" "$values"
if [ -n "$rotate" ]; then
  [ -e "$values/$rotate" ] || { echo "there is no secret called $rotate" >&2; exit 1; }
  # What the old key signed is on buyers' screens: it is read for two days more.
  if [ "$rotate" = secret_key ]; then
    mv "$values/secret_key" "$values/secret_key_previous"
  else
    rm "$values/$rotate"
  fi
fi
if [ -n "$forget" ]; then
  rm -f "$values/$forget" "$folder"/*/"flint_$forget"
fi

for service in $services; do
  give "$service" "flint_${service}_database_url" "$(database_url "$service")"
  give "$service" "flint_${service}_amqp_url" "$(amqp_url "$service")"
  give topology "flint_${service}_amqp_url" "$(amqp_url "$service")"
  give operator "flint_${service}_amqp_url" "$(amqp_url "$service")"
done
for name in $databases; do
  give migrate "flint_${name}_database_url" "$(database_url "$name")"
  give operator "flint_${name}_database_url" "$(database_url "$name")"
done
for service in orders gateway; do
  give "$service" flint_sandbox_database_url "$(database_url sandbox)"
done
for container in gateway operator; do  # whose doctor looks into everything
  give "$container" flint_secret_key "$(value secret_key)"
  [ ! -s "$values/secret_key_previous" ] ||
    give "$container" flint_secret_key_previous "$(cat "$values/secret_key_previous")"
done

give migrate flint_admin_database_url \
  "postgresql://postgres:$(value database_admin)@$database/postgres"
give postgres password "$(value database_admin)"

give grafana password "$(value grafana)"

management=http://flint-topology:$(value broker_topology)@${broker%%,*}:15672
for container in topology operator; do
  give "$container" flint_topology_amqp_url "$(amqp_url topology)"
  give "$container" flint_topology_management_url "$management"
done
give rabbitmq erlang_cookie "$(value erlang_cookie)"
give rabbitmq rabbitmq.conf "default_vhost = flint
default_user = flint-topology
default_pass = $(value broker_topology)"
