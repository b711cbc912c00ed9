# shellcheck shell=bash
# Private servers of a script: each is started in the background with its own
# log and session (so that Ctrl-C reaches the script alone, which stops them
# in order), under an unprivileged user when root asks for one, and is ended
# by the kernel should the script be killed.  Sourced by scripts/demo and
# scripts/test.  The process ids live in server_pids and nowhere else.

PATH=$PATH:/usr/sbin:/sbin
declare -A server_pids=()
declare -A server_logs=()

# Command prefix under which USER:GROUP runs what follows; "" stays who it is.
as_user() {
    local user=${1%%:*} group=${1##*:}

    prefix=(setpriv --pdeathsig TERM)
    [ -z "$1" ] || prefix+=(--reuid "$user" --regid "$group" --clear-groups)
}

# server_start NAME LOG USER:GROUP COMMAND...
server_start() {
    local name=$1 log=$2 prefix

    as_user "$3"
    setsid "${prefix[@]}" "${@:4}" </dev/null >>"$log" 2>&1 &
    server_pids[$name]=$!
    server_logs[$name]=$log
}

# server_await NAME SECONDS COMMAND...: until the command succeeds.  Returns 1
# with the log's tail on stderr when the server dies or time runs out.
server_await() {
    local name=$1 seconds=$2 deadline=$((SECONDS + $2))

    until "${@:3}" >/dev/null 2>&1; do
        if ! kill -0 "${server_pids[$name]}" 2>/dev/null; then
            server_complain "$name" "ended at its start"
            return 1
        elif ((SECONDS > deadline)); then
            server_complain "$name" "does not answer after $seconds s"
            return 1
        fi
        sleep 0.05
    done
}

# server_complain NAME WHAT: that, and the last lines of the log.
server_complain() {
    {
        echo "${0##*/}: $1 $2; the end of ${server_logs[$1]}:"
        tail -n 15 "${server_logs[$1]}" | sed 's/^/    /'
    } >&2
}

# server_stop NAME [SIGNAL]: TERM unless named; KILL after 20 seconds.
server_stop() {
    local pid=${server_pids[$1]-} tries=0

    [ -n "$pid" ] || return 0
    unset "server_pids[$1]"
    kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        if ((++tries > 400)); then
            echo "${0##*/}: $1 does not stop and is killed" >&2
            kill -s KILL "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.05
    done
    wait "$pid" 2>/dev/null || true
}

# mariadb_start DIR USER:GROUP [install option...]: a server with its data in
# DIR/mariadb, made at the first start, and its socket at DIR/mariadb.sock.
mariadb_start() {
    local dir=$1 user=$2 as_root=() prefix

    # It refuses to run as root unless told so.
    [ -n "$user" ] || [ "$(id -u)" != 0 ] || as_root=(--user=root)
    if [ ! -d "$dir/mariadb/mysql" ]; then
        rm -rf "$dir/mariadb"
        mkdir -m 700 "$dir/mariadb"
        [ -z "$user" ] || chown "$user" "$dir/mariadb"
        as_user "$user"
        # Temporary tables of its own: another install tidies up in /tmp.
        # --force: a host name that does not resolve is no obstacle.
        "${prefix[@]}" mariadb-install-db --no-defaults --force --skip-test-db \
            --datadir="$dir/mariadb" --tmpdir="$dir/mariadb" "${as_root[@]}" "${@:3}" \
            >"$dir/log/mariadb-install.log" 2>&1 </dev/null || {
            tail -n 15 "$dir/log/mariadb-install.log" >&2
            return 1
        }
        rm "$dir/log/mariadb-install.log"
    fi
    server_start mariadb "$dir/log/mariadb.log" "$user" mariadbd --no-defaults \
        --datadir="$dir/mariadb" --tmpdir="$dir/mariadb" \
        --socket="$dir/mariadb.sock" --pid-file="$dir/mariadb/mariadb.pid" --skip-networking \
        --max-connections=500 --character-set-server=utf8mb4 "${as_root[@]}"
    server_await mariadb 60 mariadb-admin --no-defaults \
        --socket="$dir/mariadb.sock" ping
}
