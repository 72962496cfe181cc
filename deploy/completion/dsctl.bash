# bash completion of dsctl. Commands and options are those that its help names; streams are asked
# from the server or database that the line names, for a second at most.

_dsctl_words() { # what the help of "$@" names with two dashes
    dsctl "$@" --help 2>/dev/null | sed -n 's/^  \(-[A-Za-z0-9],\|   \) \(--[a-z-]*\).*/\2/p'
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
            -H | --header | --cacert | --retry | --timeout) ((i++)) ;;
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
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        --content-type | -t)
            mapfile -t COMPREPLY < <(compgen -W 'application/json text/plain application/octet-stream' -- "$cur")
            return
            ;;
        --sort)
            mapfile -t COMPREPLY < <(compgen -W 'path created type messages bytes' -- "$cur")
            return
            ;;
        --offset | -o)
            mapfile -t COMPREPLY < <(compgen -W '-1 now' -- "$cur")
            return
            ;;
        --method | -m)
            mapfile -t COMPREPLY < <(compgen -W 'GET POST PUT HEAD DELETE' -- "$cur")
            return
            ;;
    esac

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_dsctl_words "${command[@]}")" -- "$cur")
    elif [[ ${#command[@]} -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(dsctl --help 2>/dev/null |
            sed -n '/^usage/,/^dsctl COMMAND/s/^  \([a-z]*\) .*/\1/p' | sort -u)" -- "$cur")
    elif [[ ${command[*]} == fault ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'add ls clear' -- "$cur")
    elif [[ ${command[*]} == import ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ ${command[*]} != @(serve|fault ls|fault clear|check|vacuum) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(timeout 1 dsctl "${where[@]}" ls --names 2>/dev/null |
            if [[ $cur == /* ]]; then cat; else sed 's|^/v1/stream/||'; fi)" -- "$cur")
    fi
}

complete -o default -F _dsctl dsctl
