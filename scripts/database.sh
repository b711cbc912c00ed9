# shellcheck shell=bash
# For the scripts that work on the database, which are all called as
#
#   scripts/NAME DATABASE [options of the mariadb client]
#
# Sourced with their arguments; gives them fail and ask, and the folder
# sql_dir.

# shellcheck disable=SC2034
sql_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../sql" && pwd)

fail() {
    echo "${0##*/}: $*" >&2
    exit "${fail_status:-1}"
}

if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
    fail "usage: scripts/${0##*/} DATABASE [options of the mariadb client]"
fi

database=$1
client_options=("${@:2}")
client=$(command -v mariadb || command -v mysql) ||
    fail "no mariadb client: install mariadb-client"

# Runs what comes on stdin; prints rows under their column names, or nothing.
ask() {
    "$client" --no-defaults --batch "${client_options[@]}" "$database"
}
