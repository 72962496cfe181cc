# fish completion of dsctl. Commands and options are those of `dsctl help`; the names of streams come
# from the server or database that the command line names, within a second at most.
#
# Anyone who may create a stream chooses its name. fish takes the lines that a command in
# parentheses prints for plain words, and quotes them where it inserts them.

# The lines of `dsctl help` that begin with a command: "tail<TAB>print a stream".
function __dsctl_commands
    dsctl help 2>/dev/null | string match -rg '^  ([a-z][a-z-]*)(?: [a-z]+)?  +(\S.*)$' |
        string match -v 'dsctl*' | __dsctl_pair | sort -u -t \t -k 1,1
end

# The second words of the commands that begin with a word.
function __dsctl_second_words
    dsctl help 2>/dev/null | string match -rg "^  $argv ([a-z]+)  +(\S.*)\$" | __dsctl_pair
end

# Joins each two lines by a tab: string match prints one line for each group.
function __dsctl_pair
    while read -l word
        read -l description
        printf '%s\t%s\n' $word $description
    end
end

# The options in the help of a command.
function __dsctl_options
    dsctl help $argv 2>/dev/null |
        string match -rg '^  (?:-.,|   ) (--[a-z-]+)(?: [A-Z][^ ]*)? +(.*)$' | __dsctl_pair
end

# Names of streams, short where the token is; first the options that say where.
function __dsctl_streams
    set -l token (commandline -ct)
    timeout 1 dsctl $argv ls --names 2>/dev/null </dev/null | while read -l name
        # a server of another kind might print anything
        string match -qr '^/[!-~]+$' -- $name; or continue
        if not string match -q '/*' -- $token
            set -l short (string replace -r '^/v1/stream/' '' -- $name)
            # in short it would be an option, another path or a URL
            string match -qr '^(-|/|http)' -- $short; or set name $short
        end
        printf '%s\n' $name
    end
end

# Names of subscriptions; first the options that say where.
function __dsctl_subscriptions
    timeout 1 dsctl $argv sub ls --names 2>/dev/null </dev/null | while read -l name
        string match -qr '^[^-[:cntrl:]][^[:cntrl:]]*$' -- $name; and printf '%s\n' $name
    end
end

function __dsctl_complete
    set -l words (commandline -opc)
    set -l previous $words[-1]
    set -l command
    set -l where
    set -l is_help

    set -e words[1]
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        switch $word
            case -u --url -D --db --user -H --header --cacert
                set -a where $word $words[1]
                set -e words[1]
            case -k --insecure
                set -a where $word
            case --retry --timeout
                set -e words[1]
            case '-*'
            case help
                set -q command[1]; and set -a command $word; or set is_help yes
            case '*'
                if not set -q command[1]; or contains -- "$command" fault sub webhook-key
                    set -a command $word
                end
        end
    end

    switch "$previous"
        case --db -D --database --cacert --state --output
            __fish_complete_path (commandline -ct)
            return
        case --content-type -t
            printf '%s\n' application/json text/plain application/octet-stream
            return
        case --sort
            printf '%s\n' path created type messages bytes
            return
        case --offset -o
            printf '%s\n' -1 now
            return
        case --method -m
            printf '%s\n' GET POST PUT HEAD DELETE
            return
        case --stream --wake-stream
            __dsctl_streams $where
            return
        case -u --url --user -H --header --retry --timeout
            return
    end

    if string match -q -- '-*' (commandline -ct)
        test -n "$is_help"; and set command help
        __dsctl_options $command
    else if not set -q command[1]
        __dsctl_commands
    else if contains -- "$command" fault sub webhook-key
        __dsctl_second_words $command
    else if test -n "$is_help"
        return
    else if test "$command" = import
        __fish_complete_path (commandline -ct)
    else if string match -qr '^sub (show|rm|wake|claim|ack|release|tail)$' -- "$command"
        __dsctl_subscriptions $where
    else if string match -qr '^(sub|webhook-key) ' -- "$command"
        return
    else if not contains -- "$command" serve 'fault ls' 'fault clear' check vacuum version
        __dsctl_streams $where
    end
end

complete -c dsctl -f -a '(__dsctl_complete)'
