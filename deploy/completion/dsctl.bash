# bash completion of dsctl. Commands and options are those of `dsctl help`; the names of streams come
# from the server or database that the command line names, within a second at most.
#
# Anyone who may create a stream chooses its name, and a name may hold $(...), quotes and asterisks.
# Here names are only data: compgen -W, which expands its words, is not used, and names are quoted
# before they get into the command line.

# The options in the help of the command "$@".
_dsctl_options() {
    dsctl help "$@" 2>/dev/null | sed -n 's/^  \(-[A-Za-z0-9],\|   \) \(--[a-z-]*\).*/\2/p'
}

_dsctl_commands() {
    dsctl help 2>/dev/null | sed -n '/^usage/,/^dsctl help/s/^  \([a-z-]*\) .*/\1/p' | sort -u
}

# The second words of the commands that begin with $1.
_dsctl_second_words() {
    dsctl help 2>/dev/null | sed -n "/^usage/,/^dsctl help/s/^  $1 \([a-z]*\) .*/\1/p"
}

# Offers the words on standard input, one a line, that begin with $1.
_dsctl_match() {
    local word
    while IFS= read -r word; do
        [[ -n $word && $word == "$1"* ]] && COMPREPLY+=("$word")
    done
    return 0
}

# Offers the names of streams on standard input that begin with $1, as it was typed.
_dsctl_streams() {
    local typed=$1 name short LC_ALL=C
    local plain='^[A-Za-z0-9/._~%+,@:=-]+$' # means itself, with and without quotes
    local quote=
    if [[ $typed == [\'\"]* ]]; then
        quote=${typed:0:1} typed=${typed:1}
    fi
    while IFS= read -r name; do
        # a server of another kind might print anything
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

# Offers the names of subscriptions on standard input that begin with $1, quoted where necessary.
_dsctl_subscriptions() {
    local name quoted LC_ALL=C
    while IFS= read -r name; do
        [[ -n $name && $name != -* && $name != *[[:cntrl:]]* ]] || continue
        printf -v quoted %q "$name"
        [[ $quoted == "$1"* || $name == "$1"* ]] && COMPREPLY+=("$quoted")
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
    local i word is_help=

    # a URL is one word, although readline cuts it at colons
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n : cur prev words cword
    fi

    COMPREPLY=()
    # the command before the cursor, and the options that say which server or database
    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        case $word in
            -u | --url | -D | --db | --user | -H | --header | --cacert)
                where+=("$word" "${words[++i]}")
                ;;
            -k | --insecure) where+=("$word") ;;
            --retry | --timeout) ((++i)) ;;
            -*) ;;
            help) if [[ ${#command[@]} -eq 0 ]]; then is_help=yes; else command+=(help); fi ;;
            *)
                if [[ ${#command[@]} -eq 0 || ${command[*]} == @(fault|sub|webhook-key) ]]; then
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
        --stream | --wake-stream)
            _dsctl_streams "$cur" < <(timeout 1 dsctl "${where[@]}" ls --names 2>/dev/null </dev/null)
            return
            ;;
        -u | --url | --user | -H | --header | --retry | --timeout) return ;;
    esac

    if [[ $cur == -* ]]; then
        [[ -n $is_help ]] && command=(help)
        _dsctl_match "$cur" < <(_dsctl_options "${command[@]}")
    elif [[ ${#command[@]} -eq 0 ]]; then
        _dsctl_match "$cur" < <(_dsctl_commands)
    elif [[ ${command[*]} == @(fault|sub|webhook-key) ]]; then
        _dsctl_match "$cur" < <(_dsctl_second_words "${command[0]}")
    elif [[ -n $is_help ]]; then
        return
    elif [[ ${command[*]} == import ]]; then
        _dsctl_files "$cur"
    elif [[ ${command[*]} == sub\ @(show|rm|wake|claim|ack|release|tail) ]]; then
        _dsctl_subscriptions "$cur" < <(timeout 1 dsctl "${where[@]}" sub ls --names 2>/dev/null </dev/null)
    elif [[ ${command[*]} != @(serve|fault ls|fault clear|sub *|webhook-key *|check|vacuum|version) ]]; then
        _dsctl_streams "$cur" < <(timeout 1 dsctl "${where[@]}" ls --names 2>/dev/null </dev/null)
    fi
    # readline inserts a word behind the last colon that was typed
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}

complete -o default -F _dsctl dsctl
