#compdef kubectl-leases
# zsh completion for kubectl-leases.

_kubectl-leases() {
    local -a lines found
    local line directive
    lines=("${(@f)$("${words[1]/#\~/$HOME}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    # The last line says what the shell may do by itself: :0 is to offer files.
    directive=$lines[-1]
    lines[-1]=()
    for line in $lines; do
        if [[ $line == *$'\t'* ]]; then
            found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            found+=("${line//:/\\:}")
        fi
    done
    if ((${#found})); then
        _describe 'kubectl leases' found
    elif [[ $directive == :0 ]]; then
        _files
    fi
}

if [[ $funcstack[1] == _kubectl-leases ]]; then
    _kubectl-leases "$@"
else
    compdef _kubectl-leases kubectl-leases
fi
