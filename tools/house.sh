# house.sh - what run.sh and test.sh share: bring in what this machine lacks, set up a build folder.
# Sourced, with $root set. Everything said here goes to standard error.

say() {
    printf '%s\n' "$*" >&2
}

# A caller may have closed standard input; nothing we start may then get a file as descriptor 0.
{ : <&0; } 2>/dev/null || exec </dev/null

# lacking: the Debian names of what this machine lacks of "WHAT PACKAGE" lines on standard input.
# WHAT is cmd:NAME (a program), pc:NAME (pkg-config knows it), libc, fuzzer (clang links it), or venv.
lacking() {
    local what package
    while read -r what package; do
        case $what in
        cmd:*) command -v "${what#cmd:}" >/dev/null ;;
        pc:*) command -v pkg-config >/dev/null && pkg-config --exists "${what#pc:}" ;;
        libc) printf '#include <stdlib.h>\n' | ${CC:-cc} -E -x c - >/dev/null 2>&1 ;;
        fuzzer) printf 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
            clang -fsanitize=fuzzer,address,undefined -x c - -o /dev/null >/dev/null 2>&1 ;;
        venv) python3 -c 'import venv, ensurepip' >/dev/null 2>&1 ;;
        esac || printf ' %s' "$package"
    done
}

needs_to_build="cmd:gcc gcc
libc libc6-dev
cmd:meson meson
cmd:ninja ninja-build
cmd:pkg-config pkg-config
pc:zlib zlib1g-dev
pc:json-c libjson-c-dev
pc:yaml-0.1 libyaml-dev
pc:libjpeg libjpeg-dev
pc:libpng libpng-dev"
needs_to_test="$needs_to_build
pc:cmocka libcmocka-dev"
wants_to_test="cmd:clang clang
cmd:clang-format clang-format"
needs_to_judge="cmd:python3 python3
venv python3-venv"

# as_root COMMAND...: fails when we are neither root nor may become it.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        return 1
    fi
}

# bring_in LIST: install what is lacking of it, or say how and exit 2.
bring_in() {
    local missing line
    missing=$(printf '%s\n' "$1" | lacking)
    [ -n "$missing" ] || return 0
    line="apt-get install --no-install-recommends -y$missing"
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086
        as_root sh -c "echo installing:$missing; apt-get update -q && $line" </dev/null >&2 || true
        missing=$(printf '%s\n' "$1" | lacking)
        [ -n "$missing" ] || return 0
    fi
    say "slipway needs these packages (Debian and Ubuntu names):$missing"
    say "    sudo apt-get update && sudo $line"
    exit 2
}

# bring_in_wanted LIST: the same for what we can do without; says nothing when it fails.
bring_in_wanted() {
    local package
    command -v apt-get >/dev/null || return 0
    for package in $(printf '%s\n' "$1" | lacking); do
        as_root apt-get install --no-install-recommends -q -y "$package" </dev/null >&2 || return 0
    done
}

# logged LOG COMMAND...: run it quietly; when it fails, show what it said.
logged() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null && return 0
    tail -n 60 "$log" >&2
    return 1
}

# set_up FOLDER OPTION...: a Meson build folder. One that is there is used as it is, unless another
# Meson made it.
set_up() {
    local dir=$1 info=$1/meson-info/meson-info.json
    shift
    if [ -f "$dir/build.ninja" ] && grep -qF "\"full\": \"$(meson --version)\"" "$info" 2>/dev/null; then
        return 0
    fi
    rm -rf "$dir"
    logged "$root/build-setup.log" meson setup "$dir" "$root" "$@" || return 1
    mv "$root/build-setup.log" "$dir/setup.log"
}

# compile FOLDER [TARGET...]
compile() {
    local dir=$1
    logged "$dir/compile.log" ninja -C "$@"
}
