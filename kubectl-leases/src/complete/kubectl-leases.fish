# fish completion for kubectl-leases.

function __kubectl_leases_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~' $HOME $words[1])
    set -e words[1]
    set -l lines ($program __complete $words "$current" 2>/dev/null)
    test (count $lines) -gt 0; or return
    # The last line says what the shell may do by itself: :0 is to offer files.
    set -l directive $lines[-1]
    set -e lines[-1]
    if test (count $lines) -gt 0
        printf '%s\n' $lines
    else if test "$directive" = :0
        __fish_complete_path $current
    end
end

complete -c kubectl-leases -e
complete -c kubectl-leases -f -a '(__kubectl_leases_complete)'
