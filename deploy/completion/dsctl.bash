# bash completion of dsctl. Commands and options are those that its help names; streams are asked
# from the server or database that the line names, for a second at most.
#
# Anybody who may create a stream chooses its name, and a name may hold $(...), quotes and asterisks.
# So names are only data here: compgen -W, which expands its words, is not used, and names are quoted
# before they get into the command line.

_dsctl_words() { # what the help of "$@" names with two dashes
    dsctl "$@" --help 2>/dev/null | sed -n 's/^  \(-[A-Za-z0-9],\|   \) \(--[a-z-]*\).*/\2/p'
}

# Of the words on standard input, a line each, those that begin with $1.
_dsctl_match() {
    local word
    while IFS= read -r word; do
        [[ -n $word && $word == "$1"* ]] && COMPREPLY+=("$word")
    done
    return 0
}

# Of the names of streams on standard input those that begin with $1, which is as it was typed.
_dsctl_streams() {
    local typed=$1 name short LC_ALL=C
    local plain='^[A-Za-z0-9/._~%+,@:=-]+$' # means itself, with and without quotes
    local quote=
    if [[ $typed == [\'\"]* ]]; then
        quote=${typed:0:1} typed=${typed:1}
    fi
    while IFS= read -r name; do
        # not ours: no server of durable streams has such names
        [[ $name == /* && $name != *[![:graph:]]* ]] || continue
        if [[ $typed != /* ]]; then
            short=${name#/v1/stream/}
            # in short it would be an option, another path or a URL
            [[ $short == "$name" || $short == [-/]* || $short == http* ]] || name=$short
        fi
        if [[ $name =~ $plain ]]; then
            [[ $name == "$typed"* ]] && COMPREPLY+=("$name")
        elif [[ -z $quote ]]; then
            printf -v short %q "$name"
            [[ $short == "$typed"* || $name == "$typed"* ]] && COMPREPLY+=("$short")
        fi
    done
    return 0
}

_dsctl_files() {
    compopt -o filenames 2>/dev/null # quoted by bash, too
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_dsctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cword=$COMP_CWORD
    local -a words=("${COMP_WORDS[@]}") where=() command=()
    local i word

    # a URL is one word, though readline cuts at colons
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n : cur prev words cword
    fi

    COMPREPLY=()
    # the command before the cursor, and which server or database the line names
    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        case $word in
            -u | --url | -D | --db) where=("$word" "${words[++i]}") ;;
            --user | -H | --header | --cacert | --retry | --timeout) ((i++)) ;;
            -*) ;;
            fault) command=(fault) ;;
            *)
                if [[ ${#command[@]} -eq 0 || (${command[*]} == fault && $word == @(add|ls|clear)) ]]; then
                    command+=("$word")
                fi
                ;;
        esac
    done

    case $prev in
        --db | -D | --database | --cacert | --state | --output)
            _dsctl_files "$cur"
            return
            ;;
        --content-type | -t)
            _dsctl_match "$cur" < <(printf '%s\n' application/json text/plain application/octet-stream)
            return
            ;;
        --sort)
            _dsctl_match "$cur" < <(printf '%s\n' path created type messages bytes)
            return
            ;;
        --offset | -o)
            _dsctl_match "$cur" < <(printf '%s\n' -1 now)
            return
            ;;
        --method | -m)
            _dsctl_match "$cur" < <(printf '%s\n' GET POST PUT HEAD DELETE)
            return
            ;;
    esac

    if [[ $cur == -* ]]; then
        _dsctl_match "$cur" < <(_dsctl_words "${command[@]}")
    elif [[ ${#command[@]} -eq 0 ]]; then
        _dsctl_match "$cur" < <(dsctl --help 2>/dev/null |
            sed -n '/^usage/,/^dsctl help/s/^  \([a-z]*\) .*/\1/p' | sort -u)
    elif [[ ${command[*]} == fault ]]; then
        _dsctl_match "$cur" < <(printf '%s\n' add ls clear)
    elif [[ ${command[*]} == import ]]; then
        _dsctl_files "$cur"
    elif [[ ${command[*]} != @(serve|fault ls|fault clear|check|vacuum) ]]; then
        _dsctl_streams "$cur" < <(timeout 1 dsctl "${where[@]}" ls --names 2>/dev/null)
    fi
    # readline puts what is offered behind the last colon of what was typed
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}

complete -o default -F _dsctl dsctl
