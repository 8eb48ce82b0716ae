# bash completion for kubectl-leases; it needs nothing but bash.

_kubectl_leases() {
    local words=() rest=${COMP_LINE:0:COMP_POINT} trimmed word i
    # Bash breaks words at = and : as well; what has no space between is one word here.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$trimmed
        if ((i > 0)) && [[ $trimmed == "$rest" ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        rest=${trimmed#"$word"}
    done

    local program=${words[0]/#\~/$HOME} current=${words[${#words[@]} - 1]} lines=() value
    while IFS= read -r value; do
        lines+=("${value%%$'\t'*}")
    done < <("$program" __complete "${words[@]:1}" 2>/dev/null)
    ((${#lines[@]} > 0)) || return

    # The last line says what the shell may do by itself: :4 is not to offer files.
    local directive=${lines[${#lines[@]} - 1]}
    unset "lines[${#lines[@]} - 1]"
    [[ $directive == :4 ]] && compopt +o default

    # Bash replaces only what stands behind the last break.
    local before=
    case $current in *[=:]*) before=${current%"${current##*[=:]}"} ;; esac
    COMPREPLY=()
    for value in "${lines[@]}"; do
        [[ $value == "$current"* ]] || continue
        # A value that goes on behind its = is not finished.
        [[ $value == *= ]] && compopt -o nospace
        COMPREPLY+=("${value#"$before"}")
    done
}

complete -o default -F _kubectl_leases kubectl-leases
