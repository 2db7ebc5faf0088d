#!/bin/sh
# Checks exported records of drd without drd: sh verify.sh [KEY]
# KEY is the id of drd's key, as `drd records key` and the recovery kit show it; without it, compare
# the key that is printed at the end. Needs only a POSIX shell, coreutils, sed and openssl 3.
# Time stamps (timestamps/*.tsr) are checked by the certificates in timestamps/ca.pem, or in another
# file: CA=FILE sh verify.sh
set -eu
CA=${CA:+$(realpath "$CA")}
cd "$(dirname "$0")"
wanted=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0 entries=0 unsigned=0 last=0 hash= key= public= first= sealed=
: >"$work/without" && : >"$work/redacted"

say() { # what others wrote may contain control characters, and echo may read \ as an escape
    printf '%s\n' "$1" | LC_ALL=C tr -c '[:print:]\n' '?'
}

fault() { faults=$((faults + 1)); say "FAULT: entry $1: $2"; }

value() { # value NAME JSON: the last text of this name
    printf '%s\n' "$2" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"
}

accepts() { # accepts PUBLIC SIGNATURE: of the header in $work/header
    printf -- '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA%s\n-----END PUBLIC KEY-----\n' "$1" \
        >"$work/key"
    printf '%s' "$2" | base64 -d >"$work/signature" 2>/dev/null || return 1
    openssl pkeyutl -verify -pubin -inkey "$work/key" -rawin -in "$work/header" \
        -sigfile "$work/signature" >/dev/null 2>&1
}

id_of() { printf '%s' "$1" | base64 -d 2>/dev/null | sha256sum | cut -c1-16; }

{
    IFS= read -r line
    [ "$line" = "drd records 1" ] || { echo "FAULT: records.txt is not a file of drd's records"; exit 1; }
    while IFS= read -r header; do
        IFS= read -r signed && IFS= read -r body || { fault "$last" "the file ends here"; break; }
        header=${header#header } signed=${signed#signature } body=${body#body }
        signer=${signed% *} signature=${signed#* } salt=${body%% *} text=${body#* }
        printf '%s' "$header" >"$work/header"
        seq=$(printf '%s\n' "$header" | sed -n 's/.*,"seq":\([0-9]*\),"subject":.*/\1/p')
        kind=$(value kind "$header") previous=$(value previous "$header")
        digest=$(value digest "$header")
        entries=$((entries + 1))
        if [ "$kind" = continued ] && [ "$signature" != - ] && [ "$seq" -gt $((last + 1)) ]; then
            case $text in *"\"after\":$last,"*"\"seq\":$((seq - 1)),"*)
                say "NOTE: entry $seq: entries up to $((seq - 1)) are lost: an older copy was restored" ;;
            *) fault "$seq" "it comes after entry $last" ;;
            esac
        elif [ "$seq" != $((last + 1)) ]; then
            fault "$seq" "it comes after entry $last"
        fi
        [ "$previous" = "$hash" ] || fault "$seq" "it does not follow the entry before it"
        if [ "$salt" = - ]; then
            case $text in withheld | "sealed "*) ;; *) echo "$seq" >>"$work/without" ;; esac
        elif [ "$(printf '%s\n%s\n' "$salt" "$text" | sha256sum | cut -c1-64)" != "$digest" ]; then
            fault "$seq" "its body does not have the recorded digest"
        fi
        if [ "$kind" = key ]; then
            new=$(value public "$text") named=$(value key "$text") by=$public
            case $text in *'"lost":true'*) by=$new
                say "NOTE: entry $seq: the key before it was lost: only key $named itself attests this" ;;
            esac
            [ "$(id_of "$new")" = "$named" ] || fault "$seq" "its key has another id"
            if accepts "${by:-$new}" "$signature"; then
                public=$new key=$named first=${first:-$named}
            else
                fault "$seq" "the key before it did not sign this key"
            fi
        elif [ "$signature" = - ]; then
            unsigned=$((unsigned + 1))
        elif [ "$signer" != "$key" ] || ! accepts "$public" "$signature"; then
            fault "$seq" "its signature is not valid"
        elif [ "$kind" = redaction ]; then
            printf '%s\n' "$header" | sed -n 's/.*"subject":"entry:\([0-9]*\)".*/\1/p' \
                >>"$work/redacted"
        fi
        sealed=
        [ "$kind" != export ] || [ "$salt" = - ] || sealed=$(value list_sha256 "$text")
        hash=$(sha256sum <"$work/header" | cut -c1-64) last=$seq at=$(value at "$header")
        echo "$seq $hash" >>"$work/hashes"
    done
} <records.txt

while read -r seq; do
    grep -qx "$seq" "$work/redacted" || fault "$seq" "its body is gone without a signed redaction"
done <"$work/without"
if [ -n "$wanted" ] && [ "$wanted" != "$key" ] && [ "$wanted" != "$first" ]; then
    fault "$last" "the key is $key and not $wanted"
fi
if [ -n "$sealed" ] || [ -e files.sha256 ]; then
    if [ ! -f files.sha256 ] || [ "$(sha256sum <files.sha256 | cut -c1-64)" != "$sealed" ]; then
        fault "$last" "files.sha256 does not match its digest in the last entry"
    elif [ -n "$key" ] && [ "$signature" = - ]; then
        fault "$last" "it seals the files, but nobody signed it: export the incident again"
    else
        while read -r digest name; do
            [ -f "$name" ] && [ ! -L "$name" ] && [ "$(sha256sum <"$name" | cut -c1-64)" = "$digest" ] ||
                fault "$last" "$name was changed or removed"
        done <files.sha256
        find . ! -type d | sed 's,^\./,,' >"$work/found"
        { cut -c67- files.sha256 && printf 'records.txt\nfiles.sha256\n'; } >"$work/listed"
        while IFS= read -r name; do
            grep -Fqx -e "$name" "$work/listed" || fault "$last" "a file does not belong to this export: $name"
        done <"$work/found"
        say "FILES: $(wc -l <files.sha256) files are as entry $last records them, except those that a fault names"
    fi
fi
for stamp in timestamps/entry-*.tsr; do
    [ -f "$stamp" ] || continue
    seq=${stamp#timestamps/entry-} && seq=${seq%.tsr}
    stamped=$(sed -n "s/^$seq //p" "$work/hashes") ca=${CA:-timestamps/ca.pem}
    if [ -n "$stamped" ] && openssl ts -verify -digest "$stamped" -in "$stamp" -CAfile "$ca" \
        -no_check_time >/dev/null 2>&1; then
        time=$(openssl ts -reply -in "$stamp" -text 2>/dev/null | sed -n 's/^Time stamp: //p')
        say "TIME: entry $seq, and all before it, existed at $time (by $ca)"
    else
        say "NOTE: entry $seq: its time stamp proves nothing (by $ca)"
    fi
done
say "$entries entries up to ${at:-never}, $unsigned of them not signed"
say "hash of the last entry: ${hash:-none}"
say "key: ${key:-none} (the first one: ${first:-none})"
[ "$faults" = 0 ] || { echo "$faults faults: these records were changed"; exit 1; }
echo "the chain is whole. Whether it is drd's: compare the key with the recovery kit"
